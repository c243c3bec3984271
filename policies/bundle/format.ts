import type { KeyObject } from 'node:crypto';
import Value from 'typebox/value';
import { type DsseEnvelope, isDsse, parseDsse, renderDsse, signDsse, verifyDsse } from '../../core/dsse.ts';
import { ParseError } from '../../core/errors.ts';
import { BUNDLE_TYPE, EvidenceBundle } from '../../core/messages/bundle.ts';

/** Digest sets may be in it. */
const MAX_CHARACTERS = 256 * 1024 * 1024;

/** A bundle as it came: nothing in it counts before its signature was looked at. */
export interface OpenedBundle {
  readonly envelope: DsseEnvelope;
  readonly bundle: EvidenceBundle;
}

/** The one text of a bundle: names sorted, no white space. */
export function renderBundle(bundle: EvidenceBundle): Uint8Array {
  return new Uint8Array(Buffer.from(canonical(bundle)));
}

/** A bundle in its envelope, as a file. */
export function sealBundle(bundle: EvidenceBundle, privateKey: KeyObject, publicKey: KeyObject): string {
  return renderDsse(signDsse(BUNDLE_TYPE, renderBundle(bundle), privateKey, publicKey));
}

/** Whether a text looks like a bundle, as opposed to other evidence. */
export function isBundle(text: string): boolean {
  return isDsse(text) && text.includes(BUNDLE_TYPE);
}

/**
 * Reads a bundle in its envelope. Says nothing of who signed: see `isSealedBy`.
 *
 * @throws {ParseError} for another type, for what does not fit the schema, and for another text than renderBundle's
 */
export function openBundle(text: string): OpenedBundle {
  const envelope = parseDsse(text, MAX_CHARACTERS);
  if (envelope.payloadType !== BUNDLE_TYPE) {
    throw new ParseError('bundle.type', 0, `is ${envelope.payloadType}, ${BUNDLE_TYPE} is expected`);
  }
  return { envelope, bundle: parseBundle(envelope.payload) };
}

/** Whether one of the given keys signed it. */
export function isSealedBy({ envelope }: OpenedBundle, keys: readonly KeyObject[]): boolean {
  return verifyDsse(envelope, keys).length > 0;
}

function parseBundle(payload: Uint8Array): EvidenceBundle {
  let value: unknown;
  let text = '';
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload);
    value = JSON.parse(text);
  } catch {
    throw new ParseError('bundle', 0, 'is not JSON in UTF-8');
  }
  if (!Value.Check(EvidenceBundle, value)) {
    const [first] = Value.Errors(EvidenceBundle, value);
    const where = first?.instancePath.replaceAll('/', '.') ?? '';
    throw new ParseError(`bundle${where}`, 0, first?.message ?? 'does not fit the schema');
  }
  // Else two readers could see two bundles in one text, such as where a name comes twice.
  if (canonical(value) !== text) throw new ParseError('bundle', 0, 'is not in its canonical form');
  return value;
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
