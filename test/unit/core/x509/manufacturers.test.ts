import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { ParseError } from '../../../../core/errors.ts';
import { isSelfIssued, parseCertificate } from '../../../../core/x509/certificate.ts';
import type { EncodingFault } from '../../../../core/x509/der.ts';
import { parsePemBundle } from '../../../../core/x509/pem.ts';
import { verifySignature } from '../../../../core/x509/signature.ts';
import { EK_VECTORS } from '../../registrar/domain/ek-vectors.ts';
import { opensslFacts, ourFacts } from './facts.ts';
import { Openssl } from './openssl.ts';
import { lenient, loadVectors, unbase64 } from './vectors.ts';

const openssl = new Openssl();

const manufacturers = loadVectors('manufacturers').map(({ name, file, form, sha256 }) => {
  const content = unbase64(file);
  const [bytes, ...others] = parsePemBundle(content);
  if (!bytes || others.length > 0) throw new Error(`${name} is not one certificate`);
  return { name, content, bytes, form, sha256, certificate: lenient(bytes) };
});

const KNOWN_FAULTS: readonly (readonly [name: RegExp, EncodingFault])[] = [
  [/^Infineon.*OPTIGA/, 'trailing-zero-bits'],
  [/^Nuvoton/, 'set-order'],
];

describe('CA certificates of TPM manufacturers say what openssl reads in them', () => {
  for (const { name, content, bytes, sha256, certificate } of manufacturers) {
    test(name, () => {
      expect(createHash('sha256').update(certificate.der).digest('hex')).toBe(sha256);
      expect(certificate.der).toEqual(bytes);
      const path = openssl.file('certificate', content);
      expect(ourFacts(certificate)).toEqual(opensslFacts(openssl, path));
    });
  }

  test('all are CAs, and their encoding faults are the known ones', () => {
    expect(manufacturers.length).toBe(25);
    expect(manufacturers.filter(({ certificate }) => certificate.basicConstraints?.ca !== true)).toEqual([]);
    for (const { name, bytes, certificate } of manufacturers) {
      const fault = KNOWN_FAULTS.find(([pattern]) => pattern.test(name))?.[1];
      expect(certificate.faults, name).toEqual(fault ? [fault] : []);
      if (fault) expect(() => parseCertificate(bytes), name).toThrow(ParseError);
      else expect(parseCertificate(bytes).serial, name).toEqual(certificate.serial);
    }
  });

  test('the signature of each that names itself is good, but where SHA-1 is refused', () => {
    const own = manufacturers.filter(({ certificate }) => isSelfIssued(certificate));
    const others = own.filter(({ certificate }) => verifySignature(certificate, certificate) !== 'good');
    expect(own.length).toBeGreaterThan(20);
    const reasons = others.map(({ certificate }) => verifySignature(certificate, certificate));
    expect(reasons).toEqual(others.map(() => ({ refused: 'it is made with SHA-1, which can be forged' })));
  });
});

describe('EK certificates say what openssl reads in them', () => {
  const readable = EK_VECTORS.filter(({ failing }) => !failing.includes('parse'));
  for (const { id, certificate, intermediates, anchor } of readable) {
    test(id, () => {
      for (const bytes of [certificate, ...intermediates, anchor]) {
        const path = openssl.file('certificate.der', bytes);
        expect(ourFacts(lenient(bytes))).toEqual(opensslFacts(openssl, path));
      }
    });
  }
});
