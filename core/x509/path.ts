import { toHex } from '../bytes/encoding.ts';
import type { Finding } from '../finding.ts';
import type { Certificate } from './certificate.ts';
import type { KeyUsage } from './extensions.ts';
import { checkPath } from './path-rules.ts';
import { verifySignature } from './signature.ts';

/** What a leaf must be allowed to do. Each that is given is required. */
export interface LeafUsage {
  /** Dotted object identifier that must stand in extKeyUsage. */
  readonly extKeyUsage?: string;
  readonly keyUsage?: KeyUsage;
}

/** Bounds on the work for one leaf. */
export interface PathLimits {
  /** Certificates in a path, with leaf and anchor. */
  readonly depth: number;
  /** In the whole search, over all paths that are tried. */
  readonly signatureChecks: number;
}

export interface PathRequest {
  readonly leaf: Certificate;
  /** Not trusted: what the peer sent, or a store of intermediates. */
  readonly intermediates: readonly Certificate[];
  /** Trusted; a path ends at the first of them. Their own signature is not looked at. */
  readonly anchors: readonly Certificate[];
  readonly at: Date;
  readonly limits?: Partial<PathLimits>;
  readonly usage?: LeafUsage;
}

/** The certificate that is needed and not there, so that a person can fetch it. */
export interface MissingIssuer {
  readonly subject: string;
  /** Hex of its key id, as the certificate below names it. */
  readonly aki: string | undefined;
  /** Where the certificate below says that it can be fetched. Nothing here does. */
  readonly aiaUrls: readonly string[];
}

export type PathResult =
  | { readonly ok: true; readonly path: readonly Certificate[] }
  | { readonly ok: false; readonly findings: readonly Finding[]; readonly missingIssuer?: MissingIssuer };

const DEFAULT_LIMITS: PathLimits = { depth: 8, signatureChecks: 64 };

/**
 * Finds a path from `leaf` to an anchor and validates it (RFC 5280, chapter 6, without policies and revocation). The
 * issuer of a certificate is one that has the name, not another key id, and the key that made the signature: CAs with
 * the same name and different keys are common.
 *
 * When no path is good, the findings are those of the best one: complete before incomplete, then the longest.
 */
export function buildPath(request: PathRequest): PathResult {
  const search = new PathSearch(request);
  search.extend([request.leaf]);
  const usage = checkUsage(request.leaf, request.usage ?? {});
  if (search.found && usage.length === 0) return { ok: true, path: search.found };
  const failure = search.found ? { findings: [] } : search.failure;
  return { ok: false, ...failure, findings: [...failure.findings, ...usage] };
}

interface Failure {
  readonly findings: readonly Finding[];
  readonly missingIssuer?: MissingIssuer;
}

interface Candidate {
  readonly certificate: Certificate;
  readonly isAnchor: boolean;
}

/** Depth-first, anchors first; ends at the first good path, or when the limit on signature checks is reached. */
class PathSearch {
  found: readonly Certificate[] | undefined;
  failure: Failure = { findings: [] };
  #failureRank = -1;
  #checks = 0;
  readonly #limits: PathLimits;
  readonly #at: Date;
  readonly #bySubject: ReadonlyMap<string, readonly Candidate[]>;

  constructor({ intermediates, anchors, at, limits }: PathRequest) {
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#at = at;
    this.#bySubject = indexBySubject(intermediates, anchors);
  }

  extend(path: readonly [Certificate, ...Certificate[]]): void {
    const child = path.at(-1) ?? path[0];
    const candidates = this.#candidates(child, path);
    if (candidates.length === 0) this.#fail(path.length, missing(child));
    for (const { certificate, isAnchor } of candidates) {
      if (this.#isExhausted()) return;
      const problem = this.#linkProblem(child, certificate, path.length);
      if (problem) this.#fail(path.length, { findings: [problem] });
      else if (isAnchor) this.#complete([...path, certificate]);
      else this.extend([...path, certificate]);
      if (this.found) return;
    }
  }

  #candidates(child: Certificate, path: readonly Certificate[]): readonly Candidate[] {
    const named = this.#bySubject.get(nameKey(child.issuer.canonical)) ?? [];
    return named
      .filter(({ certificate }) => keyIdFits(child, certificate) && !isOnPath(path, certificate))
      .sort((a, b) => Number(b.isAnchor) - Number(a.isAnchor));
  }

  #linkProblem(child: Certificate, issuer: Certificate, length: number): Finding | undefined {
    if (length >= this.#limits.depth) {
      return {
        rule: 'path.depth',
        message: `no path of up to ${this.#limits.depth} certificates leads to an anchor`,
      };
    }
    const verdict = verifySignature(child, issuer);
    if (verdict === 'good') return undefined;
    const text = nameOf(child);
    if (verdict === 'bad') {
      const message = `the signature on ${text} was not made by the key of ${issuer.subject.text}`;
      return { rule: 'path.signature', message };
    }
    return {
      rule: 'path.algorithm',
      message: `the signature on ${text} is not accepted: ${verdict.refused}`,
    };
  }

  #isExhausted(): boolean {
    const { signatureChecks } = this.#limits;
    if (this.#checks++ < signatureChecks) return false;
    const message = `no path was found with ${signatureChecks} signature checks`;
    this.#fail(Number.POSITIVE_INFINITY, { findings: [{ rule: 'path.limit', message }] });
    return true;
  }

  #complete(path: readonly Certificate[]): void {
    const findings = checkPath(path, this.#at);
    if (findings.length === 0) this.found = path;
    else this.#fail(this.#limits.depth + path.length, { findings });
  }

  #fail(rank: number, failure: Failure): void {
    if (rank <= this.#failureRank) return;
    this.#failureRank = rank;
    this.failure = failure;
  }
}

function indexBySubject(
  intermediates: readonly Certificate[],
  anchors: readonly Certificate[],
): ReadonlyMap<string, readonly Candidate[]> {
  const index = new Map<string, Candidate[]>();
  const seen = new Set<string>();
  const add = (certificate: Certificate, isAnchor: boolean) => {
    const der = Buffer.from(certificate.der).toString('latin1');
    if (seen.has(der)) return;
    seen.add(der);
    const key = nameKey(certificate.subject.canonical);
    const list = index.get(key);
    if (list) list.push({ certificate, isAnchor });
    else index.set(key, [{ certificate, isAnchor }]);
  };
  for (const anchor of anchors) add(anchor, true);
  for (const intermediate of intermediates) add(intermediate, false);
  return index;
}

function nameKey(canonical: readonly string[]): string {
  return canonical.join();
}

/** Key ids only rule out: a certificate without them may still be the issuer (RFC 5280, 4.2.1.1). */
function keyIdFits(child: Certificate, issuer: Certificate): boolean {
  const { authorityKeyId: aki } = child;
  if (aki?.keyId && issuer.subjectKeyId && !sameBytes(aki.keyId, issuer.subjectKeyId)) return false;
  return !(aki?.serial && !sameBytes(aki.serial, issuer.serial));
}

/** A path visits a name with one key once; anything else is a loop (RFC 5280, 6.1). */
function isOnPath(path: readonly Certificate[], candidate: Certificate): boolean {
  return path.some(
    ({ spki, subject }) => sameBytes(spki, candidate.spki) && sameBytes(subject.der, candidate.subject.der),
  );
}

function missing(child: Certificate): Failure {
  const aki = child.authorityKeyId?.keyId;
  const missingIssuer: MissingIssuer = {
    subject: child.issuer.text,
    aki: aki && toHex(aki),
    aiaUrls: child.authorityInfoAccess?.caIssuers ?? [],
  };
  const keyId = missingIssuer.aki === undefined ? '' : ` with key id ${missingIssuer.aki}`;
  const where =
    missingIssuer.aiaUrls.length === 0 ? '' : `; it may be at ${missingIssuer.aiaUrls.join(' or ')}`;
  const message = `the issuer of ${nameOf(child)} is not known here: ${missingIssuer.subject}${keyId} is needed${where}`;
  return { findings: [{ rule: 'path.issuer', message }], missingIssuer };
}

function nameOf({ subject, serialHex }: Certificate): string {
  return subject.text === '' ? `the certificate with serial ${serialHex}` : subject.text;
}

function checkUsage(leaf: Certificate, { extKeyUsage, keyUsage }: LeafUsage): readonly Finding[] {
  const findings: Finding[] = [];
  if (extKeyUsage !== undefined && !leaf.extKeyUsage?.includes(extKeyUsage)) {
    findings.push({
      rule: 'path.usage',
      message: `${nameOf(leaf)} has not the extended key usage ${extKeyUsage}`,
    });
  }
  if (keyUsage !== undefined && !leaf.keyUsage?.has(keyUsage)) {
    findings.push({ rule: 'path.usage', message: `${nameOf(leaf)} has not the key usage ${keyUsage}` });
  }
  return findings;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
