import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toHex } from '../../core/bytes/encoding.ts';
import { AssayError } from '../../core/errors.ts';
import { type Certificate, parseCertificate } from '../../core/x509/certificate.ts';
import { checkPath } from '../../core/x509/path-rules.ts';
import { parsePem } from '../../core/x509/pem.ts';
import { verifySignature } from '../../core/x509/signature.ts';
import { readKeyFile } from '../../platform/pki/key-file.ts';
import type { NameSpaces } from './check-issued.ts';
import { fileSigner } from './file-signer.ts';
import type { Signer } from './signer.ts';

/**
 * `next` is published, so that relying parties know it before anything is signed by it; `current` signs; `previous`
 * only revokes what it signed, until it is retired.
 */
export type AuthorityState = 'current' | 'next' | 'previous';

/** An issuing CA of a node group. */
export interface Authority {
  /** Of its files and its CRL: GROUP or, for nodes of the full tier alone, GROUP.full; `.previous` behind it once it is. */
  readonly name: string;
  readonly group: string;
  /** Whose certificates it signs; null: of all nodes of the group that no other one is for. */
  readonly tier: 'full' | null;
  readonly state: AuthorityState;
  readonly certificate: Certificate;
  /** Absent for one that signs nothing yet. */
  readonly signer: Signer | undefined;
}

/** The node PKI as the issuer knows it: certificates, and keys that it may use. */
export interface Authorities {
  /** Certificates of the node roots, the current one first; their keys are not here. */
  readonly roots: readonly Certificate[];
  readonly issuing: readonly Authority[];
  /** Those that sign, by name: each has a CRL. */
  readonly signers: ReadonlyMap<string, Signer>;
  /** One of them by its name, or by its key identifier in hex. */
  signerNamed(name: string): Signer | undefined;
  /** @throws {AssayError} `conflict` for a group without an issuing CA */
  signerOf(group: string, tier: 'full' | null): Signer;
  /** DER of the root above a signer. */
  rootOf(signer: Signer): Uint8Array;
}

export interface AuthorityFiles extends Omit<NameSpaces, 'revocation'> {
  readonly pkiDirectory: string;
  /** Whether nodes of the full tier have a CA of their own, by group. */
  readonly groups: ReadonlyMap<string, { readonly fullTierCa: boolean }>;
  readonly passphrase?: string;
  /** Without a slash at its end: where certificates say that their status can be asked. */
  readonly revocationUrl?: string | undefined;
  readonly now: Date;
}

/**
 * Opens node-root.crt and, for each group, issuing-GROUP.crt and its key; with `.next` and `.previous` in their names
 * those of a rotation.
 *
 * @throws {AssayError} `invalid-config` that names the file: missing, expired, not signed by a root, no CA for node
 *   CAs, another key than the certificate's, or a key that others can read (rule `key.files`)
 */
export async function openAuthorities(files: AuthorityFiles): Promise<Authorities> {
  const roots = await openRoots(files.pkiDirectory);
  const issuing: Authority[] = [];
  for (const [group, { fullTierCa }] of files.groups) {
    issuing.push(...(await openGenerations(files, roots, { group, tier: null })));
    if (fullTierCa) issuing.push(...(await openGenerations(files, roots, { group, tier: 'full' })));
  }
  const signers = new Map(issuing.flatMap(({ name, signer }) => (signer ? [[name, signer]] : [])));
  const byKeyId = new Map(
    issuing.flatMap(({ certificate: { subjectKeyId }, signer }) =>
      signer && subjectKeyId ? [[toHex(subjectKeyId), signer] as const] : [],
    ),
  );
  return {
    roots,
    issuing,
    signers,
    signerNamed: (name) => signers.get(name) ?? byKeyId.get(name),
    signerOf(group, tier) {
      const signer = (tier === 'full' ? signers.get(`${group}.full`) : undefined) ?? signers.get(group);
      if (signer) return signer;
      throw new AssayError('conflict', `this issuer has no issuing CA for the group "${group}"`);
    },
    rootOf({ certificate }) {
      const parsed = parseCertificate(certificate);
      const root = roots.find((one) => verifySignature(parsed, one) === 'good');
      if (!root) throw new TypeError('a signer without a root was opened');
      return root.der;
    },
  };
}

async function openRoots(directory: string): Promise<readonly Certificate[]> {
  const file = (suffix: string) => join(directory, `node-root${suffix}.crt`);
  const others = ['.next', '.previous'].map(file).filter((path) => existsSync(path));
  return Promise.all([file(''), ...others].map(readCertificate));
}

type Purpose = Pick<Authority, 'group' | 'tier'>;

async function openGenerations(
  files: AuthorityFiles,
  roots: readonly Certificate[],
  purpose: Purpose,
): Promise<Authority[]> {
  const name = purpose.tier ? `${purpose.group}.${purpose.tier}` : purpose.group;
  const base = join(files.pkiDirectory, `issuing-${name}`);
  const certificateOf = async (file: string) => {
    const certificate = await readCertificate(file);
    checkIssuingCa(file, certificate, roots, files.now);
    return certificate;
  };
  const certificate = await certificateOf(`${base}.crt`);
  const signer = await openSigner(files, base, certificate);
  const found: Authority[] = [{ ...purpose, name, state: 'current', certificate, signer }];
  if (existsSync(`${base}.next.crt`)) {
    const next = await certificateOf(`${base}.next.crt`);
    found.push({ ...purpose, name: `${name}.next`, state: 'next', certificate: next, signer: undefined });
  }
  if (existsSync(`${base}.previous.crt`)) {
    const previous = await certificateOf(`${base}.previous.crt`);
    const old = { certificate: previous, signer: await openSigner(files, `${base}.previous`, previous) };
    found.push({ ...purpose, ...old, name: `${name}.previous`, state: 'previous' });
  }
  return found;
}

async function openSigner(files: AuthorityFiles, base: string, certificate: Certificate): Promise<Signer> {
  const { passphrase } = files;
  const key = await readKeyFile(`${base}.key`, passphrase === undefined ? {} : { passphrase });
  try {
    return fileSigner(certificate, key, { ...files, revocation: revocationUrls(files, certificate) });
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw unfit(`${base}.key`, `it is not the key of ${base}.crt`, cause);
  }
}

/** By the CA's key, and not by its name, which another CA has after a rotation. */
function revocationUrls({ revocationUrl }: AuthorityFiles, { subjectKeyId }: Certificate) {
  if (revocationUrl === undefined || !subjectKeyId) return undefined;
  return { crl: `${revocationUrl}/crl/${toHex(subjectKeyId)}.crl`, ocsp: `${revocationUrl}/ocsp` };
}

function checkIssuingCa(
  file: string,
  certificate: Certificate,
  roots: readonly Certificate[],
  now: Date,
): void {
  const root = roots.find((one) => verifySignature(certificate, one) === 'good');
  if (!root) throw unfit(file, 'it is not signed by a node root');
  const [problem] = checkPath([certificate, root], now);
  if (problem) throw unfit(file, problem.message);
  const { basicConstraints, keyUsage, subjectKeyId } = certificate;
  const fits = basicConstraints?.ca === true && basicConstraints.pathLen === 1 && subjectKeyId !== undefined;
  if (!fits || !keyUsage?.has('keyCertSign') || !keyUsage.has('cRLSign')) {
    throw unfit(file, 'it is no CA with path length 1 that may sign certificates and CRLs');
  }
}

async function readCertificate(file: string): Promise<Certificate> {
  try {
    return parseCertificate(parsePem('CERTIFICATE', await readFile(file, 'utf8')));
  } catch (cause) {
    throw unfit(file, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function unfit(file: string, problem: string, cause?: unknown): AssayError {
  const message = `the issuer cannot use ${file}: ${problem}; "assay init" and "assay ca" make it`;
  return new AssayError('invalid-config', message, { cause });
}
