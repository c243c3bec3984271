import { equalBytes, fromBase64, toBase64 } from '../../core/bytes/encoding.ts';
import type { PreviousContact } from '../../platform/database/schema.ts';

/** Where a record says its node answers, and as whom. */
export interface Contact {
  readonly host: string;
  readonly port: number;
  readonly tlsCertificate: Uint8Array | null;
}

/** The same, as a record had it before: with the AK that was valid there. */
export interface RecordedContact extends Contact {
  readonly akPublic: Uint8Array;
  readonly previous: PreviousContact | null;
}

/**
 * Which earlier contact the verifier has to probe for a second holder of the keys (rule `id.clone`). The oldest one
 * that was not probed yet is kept, so that enrolling twice in a row hides nothing; unless it is where the node is
 * now, then the one in between is the other.
 */
export function previousContact(before: RecordedContact, now: Contact): PreviousContact | null {
  if (sameContact(before, now)) return before.previous;
  const { previous } = before;
  if (previous && !sameContact(restore(previous), now)) return previous;
  return {
    host: before.host,
    port: before.port,
    tlsCertificate: before.tlsCertificate && toBase64(before.tlsCertificate),
    akPublic: toBase64(before.akPublic),
  };
}

function sameContact(a: Contact, b: Contact): boolean {
  return a.host === b.host && a.port === b.port && sameCertificate(a.tlsCertificate, b.tlsCertificate);
}

function sameCertificate(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : equalBytes(a, b);
}

function restore({ host, port, tlsCertificate }: PreviousContact): Contact {
  const certificate = tlsCertificate === null ? null : fromBase64(tlsCertificate, 'tlsCertificate');
  return { host, port, tlsCertificate: certificate };
}
