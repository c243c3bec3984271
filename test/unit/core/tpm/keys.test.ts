import { describe, expect, test } from 'vitest';
import { toHex } from '../../../../core/bytes/encoding.ts';
import { AK_TEMPLATES, checkAttestationKey } from '../../../../core/tpm/attestation-key.ts';
import { TPM_RH } from '../../../../core/tpm/constants.ts';
import { checkEndorsementKey, EK_TEMPLATES } from '../../../../core/tpm/endorsement-key.ts';
import { computeName, hierarchyName, qualifiedName } from '../../../../core/tpm/name.ts';
import { tpmaObjectBits } from '../../../../core/tpm/object-attributes.ts';
import { marshalTpmtPublic, parseTpm2bPublic, type TpmtPublic } from '../../../../core/tpm/public.ts';
import { weaknessOf } from '../../../../core/tpm/weak-key.ts';
import { softwareEcc, softwareRsa } from './software-key.ts';
import { loadVectors, unhex, vector } from './vectors.ts';

const quotes = loadVectors('quote');
const publicOf = (name: string) => parseTpm2bPublic(unhex(vector(quotes, name).akPublic));
const rules = (findings: readonly { readonly rule: string }[]) => findings.map(({ rule }) => rule);

describe('Names', () => {
  for (const { name, akPublic, akName } of quotes) {
    if (name === 'ak-name-mismatch') continue;
    test(`of the AK of ${name}`, () => {
      expect(toHex(computeName(parseTpm2bPublic(unhex(akPublic))))).toBe(akName);
    });
  }

  test('depend on the attributes and on how the exponent is written', () => {
    const { publicArea } = softwareRsa();
    const written = { ...publicArea, exponent: 65537 } as TpmtPublic;
    expect(computeName(written)).not.toEqual(computeName(publicArea));
    const other = { ...publicArea, objectAttributes: { ...publicArea.objectAttributes, noDA: true } };
    expect(computeName(other)).not.toEqual(computeName(publicArea));
  });

  test('with those of the ancestors are what the TPM calls the signer', () => {
    const entry = vector(loadVectors('names'), 'AK under the RSA EK');
    const qualified = [...entry.parents, entry.akPublic].reduce(
      (parent, text) => qualifiedName(parent, computeName(parseTpm2bPublic(unhex(text)))),
      hierarchyName(TPM_RH.ENDORSEMENT),
    );
    expect(toHex(qualified)).toBe(entry.qualifiedName);
  });

  test('need a hash algorithm', () => {
    expect(() => qualifiedName(new Uint8Array(4), new Uint8Array(34))).toThrow(RangeError);
  });
});

describe('checkAttestationKey', () => {
  const refused = new Map([
    ['nofixedtpm', ['ak.attributes']],
    ['unrestricted-key-forged', ['ak.attributes']],
    ['unrestricted-key-genuine-quote', ['ak.attributes']],
    ['sha1-signature', ['ak.scheme']],
  ]);
  for (const { name, akPublic } of quotes) {
    test(`the AK of ${name}`, () => {
      expect(rules(checkAttestationKey(parseTpm2bPublic(unhex(akPublic))))).toEqual(refused.get(name) ?? []);
    });
  }

  test('ak.scheme: an AK that encrypts, or is not bound to a scheme', () => {
    for (const scheme of [{ type: 'null' }, { type: 'rsaes' }, { type: 'oaep', hash: 'sha256' }] as const) {
      expect(rules(checkAttestationKey(softwareRsa({ scheme }).publicArea))).toEqual(['ak.scheme']);
    }
    for (const scheme of [
      { type: 'ecschnorr', hash: 'sha256' },
      { type: 'ecdaa', hash: 'sha256', count: 1 },
    ] as const) {
      expect(rules(checkAttestationKey(softwareEcc({ scheme }).publicArea))).toEqual(['ak.scheme']);
    }
  });

  test('ak.name: a Name made with SHA-1', () => {
    expect(rules(checkAttestationKey(softwareEcc({ nameAlg: 'sha1' }).publicArea))).toEqual(['ak.name']);
  });

  test('ak.weak: a short RSA key', () => {
    expect(rules(checkAttestationKey(softwareRsa({ keyBits: 1024 }).publicArea))).toEqual(['ak.weak']);
  });

  test('the templates are those of agents of the Keylime family', () => {
    for (const template of Object.values<TpmtPublic>(AK_TEMPLATES)) {
      expect(tpmaObjectBits(template.objectAttributes)).toBe(0x0005_0072);
      expect(checkAttestationKey(template)).toEqual([]);
    }
    const { unique: _, ...template } = AK_TEMPLATES.rsa2048;
    expect(publicOf('rsassa-sha256-ok')).toMatchObject(template);
    const { unique: __, ...eccTemplate } = AK_TEMPLATES.ecc256;
    expect(publicOf('ecdsa-p256-ok')).toMatchObject(eccTemplate);
  });
});

describe('checkEndorsementKey', () => {
  const ek = parseTpm2bPublic(unhex(vector(loadVectors('credential'), 'L-2').ekPublic));

  for (const { name, ekPublic } of [...loadVectors('credential'), ...loadVectors('credential-tpm')]) {
    test(`the EK of ${name} is good`, () => {
      expect(checkEndorsementKey(parseTpm2bPublic(unhex(ekPublic)))).toEqual([]);
    });
  }

  for (const attribute of ['fixedTPM', 'fixedParent', 'restricted', 'decrypt'] as const) {
    test(`ek.attributes: without ${attribute}`, () => {
      const objectAttributes = { ...ek.objectAttributes, [attribute]: false };
      expect(rules(checkEndorsementKey({ ...ek, objectAttributes }))).toEqual(['ek.attributes']);
    });
  }

  test('ek.attributes: an EK that signs', () => {
    const objectAttributes = { ...ek.objectAttributes, sign: true };
    expect(rules(checkEndorsementKey({ ...ek, objectAttributes }))).toEqual(['ek.attributes']);
  });

  test('ek.policy: none, and one of nobody', () => {
    for (const authPolicy of [new Uint8Array(), new Uint8Array(32)]) {
      expect(rules(checkEndorsementKey({ ...ek, authPolicy }))).toEqual(['ek.policy']);
    }
  });

  test('ek.symmetric: no cipher, another mode, SHA-1', () => {
    expect(rules(checkEndorsementKey({ ...ek, symmetric: { type: 'null' } }))).toEqual(['ek.symmetric']);
    const cbc = { type: 'aes', keyBits: 128, mode: 'cbc' } as const;
    expect(rules(checkEndorsementKey({ ...ek, symmetric: cbc }))).toEqual(['ek.symmetric']);
    expect(rules(checkEndorsementKey({ ...ek, nameAlg: 'sha1' }))).toEqual(['ek.symmetric']);
  });

  test('ek.weak: a short RSA key', () => {
    const short = softwareRsa({ ...EK_TEMPLATES['L-1'], keyBits: 1024 } as object);
    expect(rules(checkEndorsementKey(short.publicArea))).toEqual(['ek.weak']);
  });
});

describe('EK templates', () => {
  const sizes = {
    'L-1': 314,
    'L-2': 122,
    'H-1': 58,
    'H-2': 58,
    'H-3': 74,
    'H-4': 90,
    'H-6': 74,
    'H-7': 74,
  } as const;
  for (const name of ['L-1', 'L-2', 'H-1', 'H-2', 'H-3', 'H-4', 'H-6', 'H-7'] as const) {
    test(`${name} has the attributes and the size of its range`, () => {
      const template: TpmtPublic = EK_TEMPLATES[name];
      expect(tpmaObjectBits(template.objectAttributes)).toBe(
        name.startsWith('L') ? 0x0003_00b2 : 0x0003_00f2,
      );
      expect(marshalTpmtPublic(template)).toHaveLength(sizes[name]);
      expect(checkEndorsementKey(template)).toEqual([]);
    });
  }

  test('L-1 is what a TPM was given to make its EK', () => {
    const { command } = vector(loadVectors('conversation'), 'createek-rsa');
    expect(command).toContain(toHex(marshalTpmtPublic(EK_TEMPLATES['L-1'])));
  });
});

describe('ek.weak: keys of the Infineon library', () => {
  const M = primesUpTo(701).reduce((product, prime) => product * prime, 1n);

  test('a modulus of their shape is recognised', () => {
    // Products of k·M + 65537^a mod M are congruent to powers of 65537 modulo M, whatever k and a are.
    const power = modPow(65537n, 123_456_789n, M);
    const modulus = power + M * ((3n << 2046n) / M);
    const { publicArea } = softwareRsa();
    expect(weaknessOf({ ...publicArea, unique: unhex(modulus.toString(16)) } as TpmtPublic)).toMatch(/ROCA/);
    const next = unhex((modulus + 2n).toString(16));
    expect(weaknessOf({ ...publicArea, unique: next } as TpmtPublic)).toBeUndefined();
  });

  test('keys of TPMs and of OpenSSL are not', () => {
    expect(weaknessOf(softwareRsa().publicArea)).toBeUndefined();
    for (const { akPublic } of quotes) expect(weaknessOf(parseTpm2bPublic(unhex(akPublic)))).toBeUndefined();
  });
});

function primesUpTo(limit: number): bigint[] {
  const isPrime = (n: number) => Array.from({ length: n - 2 }, (_, i) => i + 2).every((d) => n % d !== 0);
  return Array.from({ length: limit - 1 }, (_, i) => i + 2)
    .filter(isPrime)
    .map(BigInt);
}

function modPow(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let [b, e] = [base % modulus, exponent]; e > 0n; b = (b * b) % modulus, e >>= 1n) {
    if (e & 1n) result = (result * b) % modulus;
  }
  return result;
}
