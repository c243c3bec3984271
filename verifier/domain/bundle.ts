import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import { toBase64, toHex } from '../../core/bytes/encoding.ts';
import { AssayError, ParseError } from '../../core/errors.ts';
import type { Finding } from '../../core/finding.ts';
import type { EvidenceBundle } from '../../core/messages/bundle.ts';
import { parsePcrBlob } from '../../core/messages/keylime/pcr-blob.ts';
import { parseQuoteString } from '../../core/messages/keylime/quote-string.ts';
import type { BundledEvidence } from '../../policies/bundle/contents.ts';
import type { DigestSet } from '../../policies/digests/digest-set.ts';

const Bank = Type.Enum(['sha256', 'sha384', 'sha512']);
const Uint32 = Type.Integer({ minimum: 0, maximum: 0xffff_ffff });

// StoredEvidence as the database may hold it; that of releases before has no `policy`.
const Stored = Type.Object({
  format: Type.Literal('keylime-quote/1'),
  nonce: Type.String(),
  bank: Bank,
  pcrs: Type.Array(Type.Integer()),
  akPublic: Type.String(),
  channel: Type.Union([Type.String(), Type.Null()]),
  binding: Type.Union([Type.Enum(['tls-key', 'reported-key']), Type.Null()]),
  quote: Type.String(),
  ima: Type.Optional(
    Type.Object({
      firstEntry: Type.Integer(),
      truncated: Type.Boolean(),
      text: Type.Optional(Type.String()),
      binary: Type.Optional(Type.String()),
    }),
  ),
  boot: Type.Optional(
    Type.Object({ firmware: Type.Optional(Type.String()), userspace: Type.Optional(Type.String()) }),
  ),
  policy: Type.Object({ name: Type.String(), version: Type.Integer() }),
  history: Type.Optional(
    Type.Object({
      clock: Type.Optional(
        Type.Object({
          clock: Type.String(),
          resetCount: Uint32,
          restartCount: Uint32,
          safe: Type.Boolean(),
        }),
      ),
      ima: Type.Optional(
        Type.Object({
          ...{ entries: Type.Integer(), bank: Bank, pcr: Type.String() },
          learned: Type.Optional(
            Type.Array(Type.Object({ keyring: Type.String(), certificate: Type.String() })),
          ),
        }),
      ),
    }),
  ),
});
export type StoredForBundle = Static<typeof Stored>;

/** A verdict and what it rests on, from everywhere it is kept. */
export interface BundleSource {
  readonly node: {
    readonly id: string;
    readonly ekPublic: Uint8Array;
    readonly ekCertificate: Uint8Array | null;
    /** From the EK certificate to the anchor. */
    readonly ekPath: readonly Uint8Array[];
  };
  readonly at: Date;
  readonly outcome: 'pass' | 'fail' | 'inconclusive';
  readonly reasons: readonly Finding[];
  readonly evidence: StoredForBundle;
  readonly firmware: Uint8Array | undefined;
  readonly userspace: Uint8Array | undefined;
  /** The document of `evidence.policy`. */
  readonly document: string;
  /** Those that the policy names; without its bytes, a set is only named. */
  readonly sets: readonly (DigestSet | { readonly id: string })[];
}

/** @throws {AssayError} `conflict` for evidence of another form, or of a release that did not keep enough */
export function readStored(evidence: unknown): StoredForBundle {
  if (Value.Check(Stored, evidence)) return evidence;
  const message =
    'the evidence was kept by another release, without all that a bundle needs; attest the node again';
  throw new AssayError('conflict', message);
}

/** Puts together what a verdict rests on. */
export function makeBundle(source: BundleSource, verifier: EvidenceBundle['verifier']): EvidenceBundle {
  const { node, at, evidence, document } = source;
  const { policy, history } = evidence;
  const { asked, quote, logs } = bundledEvidence(source);
  return {
    format: 'assay-evidence/1',
    verifier,
    judgedAt: at.toISOString(),
    node: {
      id: node.id,
      akPublic: evidence.akPublic,
      ekPublic: toBase64(node.ekPublic),
      ekCertificate: node.ekCertificate && toBase64(node.ekCertificate),
      ekChain: node.ekPath.slice(1).map(toBase64),
    },
    ...{ asked, quote, logs },
    history: { ...history },
    policy: { ...policy, document },
    sets: source.sets.map((set) =>
      'bytes' in set ? { id: set.id, bytes: toBase64(set.bytes) } : { id: set.id },
    ),
    verdict: { outcome: source.outcome, reasons: source.reasons.map((reason) => ({ ...reason })) },
  };
}

/** The parts that a verdict rests on, without who vouches for them. */
export function bundledEvidence({
  evidence,
  firmware,
  userspace,
}: Pick<BundleSource, 'evidence' | 'firmware' | 'userspace'>): BundledEvidence {
  const { nonce, bank, pcrs, channel, binding, ima, akPublic } = evidence;
  return {
    node: { akPublic },
    asked: {
      ...{ nonce: toBase64(Buffer.from(nonce)), bank, pcrs },
      channel: channel !== null && binding !== null ? { binding, value: channel } : null,
    },
    quote: quoteParts(evidence.quote),
    logs: {
      ...(firmware ? { firmware: toBase64(firmware) } : {}),
      ...(userspace ? { userspace: toBase64(userspace) } : {}),
      ...(ima ? { ima: listPart(ima) } : {}),
    },
  };
}

function listPart({ firstEntry, truncated, text, binary }: NonNullable<StoredForBundle['ima']>) {
  const form = binary === undefined ? ('ascii' as const) : ('binary' as const);
  const bytes = binary ?? toBase64(Buffer.from(text ?? ''));
  return { form, firstEntry, bytes, complete: !truncated };
}

function quoteParts(quote: string): EvidenceBundle['quote'] {
  try {
    const { attest, signature, pcrBlob } = parseQuoteString(quote);
    const { values } = parsePcrBlob(pcrBlob);
    const pcrs = Object.fromEntries(
      [...values].map(([bank, bankValues]) => [
        bank,
        Object.fromEntries([...bankValues].map(([pcr, value]) => [String(pcr), toHex(value)])),
      ]),
    );
    return { attest: toBase64(attest), signature: toBase64(signature), pcrs };
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    return { raw: quote };
  }
}
