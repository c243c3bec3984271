import { constants, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { explicitTag, TAG } from '../../../../core/x509/der.ts';
import { der, derOid, derSequence, derUnsigned } from '../../../../core/x509/der-writer.ts';
import { verifySignature } from '../../../../core/x509/signature.ts';
import { rsa2048 } from './chain-cases.ts';
import { type Algorithm, forge, newKey } from './forge.ts';

const HASHES = { sha1: '1.3.14.3.2.26', sha256: '2.16.840.1.101.3.4.2.1', sha384: '2.16.840.1.101.3.4.2.2' };
type Hash = keyof typeof HASHES;
const NULL = der(TAG.NULL);
const hashOf = (name: Hash, parameters = NULL) => derSequence(derOid(HASHES[name]), parameters);
const small = (value: number) => derUnsigned(Uint8Array.of(value));

interface Pss {
  readonly hash?: Hash;
  readonly mask?: Hash;
  readonly maskFunction?: string;
  readonly hashParameters?: Uint8Array;
  readonly trailer?: number;
}

/** RSASSA-PSS whose signature fits its hash, so that the parameters alone can be wrong. */
function pss({
  hash = 'sha256',
  mask = hash,
  maskFunction = '1.2.840.113549.1.1.8',
  hashParameters,
  trailer,
}: Pss) {
  const parameters = derSequence(
    der(explicitTag(0), hashOf(hash, hashParameters)),
    der(explicitTag(1), derSequence(derOid(maskFunction), hashOf(mask))),
    der(explicitTag(2), small(32)),
    trailer === undefined ? new Uint8Array() : der(explicitTag(3), small(trailer)),
  );
  return algorithm(derSequence(derOid('1.2.840.113549.1.1.10'), parameters), hash);
}

function algorithm(identifier: Uint8Array, hash: Hash): Algorithm {
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return { identifier, sign: (tbs, key) => sign(hash, tbs, { key, padding, saltLength: 32 }) };
}

function verdictOn(scheme: Algorithm) {
  const { certificate } = forge({ key: rsa2048, algorithm: scheme });
  return verifySignature(certificate, certificate);
}

describe('RSASSA-PSS parameters (RFC 4055, 3.1)', () => {
  test('good: SHA-256 and SHA-384, with and without NULL, and the one trailer that there is', () => {
    for (const parameters of [
      {},
      { hash: 'sha384' },
      { hashParameters: new Uint8Array() },
      { trailer: 1 },
    ] as const) {
      expect(verdictOn(pss(parameters))).toBe('good');
    }
  });

  const REFUSED: readonly (readonly [what: string, problem: RegExp, Pss])[] = [
    ['SHA-1', /SHA-256 or better/, { hash: 'sha1' }],
    ['SHA-1 for the mask', /SHA-256 or better/, { mask: 'sha1' }],
    ['another hash for the mask', /SHA-256 or better/, { mask: 'sha384' }],
    ['another mask function', /SHA-256 or better/, { maskFunction: '1.2.3.4' }],
    ['another trailer', /trailerField.*unknown/, { trailer: 2 }],
    ['parameters of the hash that are not NULL', /parameters/, { hashParameters: small(1) }],
  ];
  for (const [what, problem, parameters] of REFUSED) {
    test(`refused: ${what}`, () => {
      expect(verdictOn(pss(parameters))).toEqual({ refused: expect.stringMatching(problem) });
    });
  }

  test('refused: none, which means SHA-1', () => {
    const none = algorithm(derSequence(derOid('1.2.840.113549.1.1.10')), 'sha256');
    expect(verdictOn(none)).toEqual({ refused: expect.stringMatching(/without parameters means SHA-1/) });
  });
});

describe('algorithms', () => {
  test('SHA-1 is refused as such, and an unknown one by its name', () => {
    for (const oid of ['1.2.840.113549.1.1.5', '1.2.840.10045.4.1']) {
      const verdict = verdictOn(algorithm(derSequence(derOid(oid)), 'sha1'));
      expect(verdict).toEqual({ refused: expect.stringMatching(/SHA-1/) });
    }
    const unknown = verdictOn(algorithm(derSequence(derOid('1.2.3.4')), 'sha256'));
    expect(unknown).toEqual({ refused: 'its algorithm 1.2.3.4 is not accepted' });
  });

  test('a key that is none is refused and throws nothing', () => {
    const { certificate } = forge();
    const spki = Uint8Array.from(certificate.spki);
    spki[spki.length - 1] = (spki.at(-1) ?? 0) ^ 1;
    const broken = forge({ spki }).certificate;
    expect(verifySignature(certificate, broken)).toEqual({ refused: expect.stringMatching(/no public key/) });
    expect(verifySignature(certificate, forge({ key: newKey() }).certificate)).toBe('bad');
  });
});
