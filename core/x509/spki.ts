import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { toHex } from '../bytes/encoding.ts';
import type { Certificate } from './certificate.ts';
import { DerReader, TAG } from './der.ts';
import { readWholeBits } from './der-values.ts';

/** SHA-256 of the DER of the SubjectPublicKeyInfo: of a certificate, of a key (also a private one), or as given. */
export function spkiSha256(source: Pick<Certificate, 'spki'> | KeyObject | Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha256', spkiOf(source), 'buffer'));
}

/** How a CA is pinned on a command line: `sha256:` and the hash of its key in lower-case hex. */
export function pinOf(source: Pick<Certificate, 'spki'> | KeyObject | Uint8Array): string {
  return `sha256:${toHex(spkiSha256(source))}`;
}

/** Contents of subjectPublicKey, without the number of unused bits: what key identifiers are hashes of. */
export function keyBits(spki: Uint8Array): Uint8Array {
  const reader = DerReader.over(spki, 'SubjectPublicKeyInfo').sequence('spki');
  reader.element(TAG.SEQUENCE, 'algorithm');
  return readWholeBits(reader, 'subjectPublicKey');
}

function spkiOf(source: Pick<Certificate, 'spki'> | KeyObject | Uint8Array): Uint8Array {
  if (source instanceof Uint8Array) return source;
  if ('spki' in source) return source.spki;
  const key = source.type === 'private' ? createPublicKey(source) : source;
  return new Uint8Array(key.export({ type: 'spki', format: 'der' }));
}
