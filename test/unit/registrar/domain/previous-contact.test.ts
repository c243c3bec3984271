import { describe, expect, test } from 'vitest';
import { toBase64 } from '../../../../core/bytes/encoding.ts';
import { type Contact, previousContact } from '../../../../registrar/domain/previous-contact.ts';

const bytes = (value: number) => new Uint8Array([value]);
const A: Contact = { host: '192.0.2.1', port: 9002, tlsCertificate: bytes(1) };
const B: Contact = { host: '192.0.2.2', port: 9002, tlsCertificate: bytes(2) };
const C: Contact = { host: '192.0.2.3', port: 9002, tlsCertificate: bytes(3) };

function recorded(contact: Contact, previous: Contact | null = null) {
  return { ...contact, akPublic: bytes(9), previous: previous && stored(previous) };
}

function stored({ tlsCertificate, ...contact }: Contact) {
  const akPublic = toBase64(bytes(9));
  return { ...contact, tlsCertificate: tlsCertificate && toBase64(tlsCertificate), akPublic };
}

describe('id.clone: the contact to probe', () => {
  test('none when nothing moved', () => expect(previousContact(recorded(A), A)).toBeNull());
  test('the one before, when the node moved', () =>
    expect(previousContact(recorded(A), B)).toEqual(stored(A)));
  test('another TLS certificate is a move', () => {
    const rekeyed = { ...A, tlsCertificate: bytes(7) };
    expect(previousContact(recorded(A), rekeyed)).toEqual(stored(A));
  });
  test('another port is a move', () => {
    expect(previousContact(recorded(A), { ...A, port: 9003 })).toEqual(stored(A));
  });
  test('going without TLS is a move', () => {
    expect(previousContact(recorded(A), { ...A, tlsCertificate: null })).toEqual(stored(A));
  });
  test('moving twice before the probe hides nothing', () => {
    expect(previousContact(recorded(B, A), C)).toEqual(stored(A));
  });
  test('what was not probed yet stays when nothing moved', () => {
    expect(previousContact(recorded(B, A), B)).toEqual(stored(A));
  });
  test('moving back makes the one in between the other', () => {
    expect(previousContact(recorded(B, A), A)).toEqual(stored(B));
  });
});
