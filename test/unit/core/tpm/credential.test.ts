import { createHash, createPrivateKey, type KeyObject, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Writer } from '../../../../core/bytes/writer.ts';
import { AssayError, ParseError } from '../../../../core/errors.ts';
import { digestSize } from '../../../../core/tpm/constants.ts';
import {
  activateCredential,
  type Credential,
  makeCredential,
  parseCredentialBlob,
  renderCredentialBlob,
} from '../../../../core/tpm/credential.ts';
import { EK_TEMPLATES } from '../../../../core/tpm/endorsement-key.ts';
import { computeName } from '../../../../core/tpm/name.ts';
import { parseTpm2bPublic, type TpmtPublic } from '../../../../core/tpm/public.ts';
import { expectWhole, loadVectors, patched, unhex, vector } from './vectors.ts';

const vectors = loadVectors('credential').map((entry) => ({
  name: entry.name,
  ek: parseTpm2bPublic(unhex(entry.ekPublic)),
  ekPrivate: createPrivateKey({
    key: Buffer.from(unhex(entry.ekPrivatePkcs8)),
    format: 'der',
    type: 'pkcs8',
  }),
  objectName: unhex(entry.objectName),
  secret: unhex(entry.secret),
  credential: parseCredentialBlob(unhex(entry.blob)),
}));
type Vector = (typeof vectors)[number];

describe('credentials of tpm2-tools for EKs in software', () => {
  for (const entry of vectors) {
    const { name, secret, credential, ek } = entry;
    test(`${name} gives its secret`, () => {
      expect(activate(entry, credential)).toEqual(secret);
    });

    test(`${name}: ours gives its secret, and is the same for the same randomness`, () => {
      const made = makeCredential({ ek, objectName: entry.objectName, secret, randomBytes: drbg('one') });
      expect(activate(entry, made)).toEqual(secret);
      expect(made.idObject.length).toBe(credential.idObject.length);
      expect(made.encryptedSecret.length).toBe(credential.encryptedSecret.length);
      expect(makeCredential({ ek, objectName: entry.objectName, secret, randomBytes: drbg('one') })).toEqual(
        made,
      );
      const other = makeCredential({ ek, objectName: entry.objectName, secret, randomBytes: drbg('two') });
      expect(other.encryptedSecret).not.toEqual(made.encryptedSecret);
    });

    test(`ak.activation: ${name} refuses another Name, a changed integrity value and a changed secret`, () => {
      const { idObject, encryptedSecret } = credential;
      const otherName = patched(entry.objectName, 5, 0xff, 0x00);
      refused(() => activateCredential({ ...entry, objectName: otherName, credential }));
      refused(() => activate(entry, { idObject: flipped(idObject, 5), encryptedSecret }));
      refused(() => activate(entry, { idObject: flipped(idObject, idObject.length - 1), encryptedSecret }));
      refused(() => activate(entry, { idObject, encryptedSecret: flipped(encryptedSecret, 40) }));
    });
  }

  test('a credential for one EK is of no use to another', () => {
    const [first, second] = [vector(vectors, 'L-2'), vector(vectors, 'H-3')];
    refused(() => activate({ ...second, objectName: first.objectName }, first.credential));
  });
});

describe('ak.activation: what a TPM refuses with "integrity check failed"', () => {
  for (const entry of vectors) {
    const { idObject, encryptedSecret } = entry.credential;
    const hmacBytes = digestSize(entry.ek.nameAlg);
    const afterFlip = (at: number) =>
      activationCode(entry, { idObject: flipped(idObject, at), encryptedSecret });

    test(`${entry.name}, blob-flipped: one bit of the HMAC, wherever it is`, () => {
      const first = 2;
      for (let at = first; at < first + hmacBytes; at += 1) expect(afterFlip(at)).toBe('activation-failed');
    });

    test(`${entry.name}: one bit of what the HMAC is over`, () => {
      for (let at = 2 + hmacBytes; at < idObject.length; at += 1)
        expect(afterFlip(at)).toBe('activation-failed');
    });

    test(`${entry.name}, wrong-ak-name: made for the Name of another AK, by tpm2-tools or by us`, () => {
      const { ek, secret, objectName } = entry;
      const names = loadVectors('credential-tpm').map(({ akName }) => unhex(akName));
      const others = names.filter((name) => Buffer.compare(name, objectName) !== 0);
      expect(others.length).toBeGreaterThan(2);
      for (const other of [...others, flipped(objectName, objectName.length - 1), new Uint8Array()]) {
        expect(activationCode({ ...entry, objectName: other }, entry.credential)).toBe('activation-failed');
        const made = makeCredential({ ek, objectName: other, secret, randomBytes });
        expect(activationCode(entry, made)).toBe('activation-failed');
        expect(activate({ ...entry, objectName: other }, made)).toEqual(secret);
      }
    });

    test(`${entry.name}: an encrypted secret for another EK`, () => {
      const { secret, objectName } = entry;
      const strangers = vectors.filter(({ name, ek }) => name !== entry.name && ek.type === entry.ek.type);
      for (const { ek, credential } of strangers) {
        expect(['activation-failed', 'malformed']).toContain(activationCode(entry, credential));
        const shared = makeCredential({ ek, objectName, secret: secret.subarray(0, 16), randomBytes });
        expect(['activation-failed', 'malformed']).toContain(activationCode(entry, shared));
      }
      const seed = makeCredential({ ...entry, secret, randomBytes }).encryptedSecret;
      expect(activationCode(entry, { idObject, encryptedSecret: seed })).toBe('activation-failed');
    });
  }
});

describe('credentials that TPMs answered', () => {
  for (const entry of loadVectors('credential-tpm')) {
    test(`${entry.name}: parses, renders, and is of the size that ours has`, () => {
      const blob = unhex(entry.blob);
      const credential = parseCredentialBlob(blob);
      expect(renderCredentialBlob(credential)).toEqual(blob);
      expect(new Writer().sized16(credential.encryptedSecret).bytes()).toEqual(unhex(entry.encryptedSecret));
      const ek = parseTpm2bPublic(unhex(entry.ekPublic));
      const objectName = computeName(parseTpm2bPublic(unhex(entry.akPublic)));
      const ours = makeCredential({ ek, objectName, secret: new Uint8Array(29), randomBytes });
      expect(renderCredentialBlob(ours).length).toBe(blob.length);
    });
  }

  test('those that a TPM refused are whole: what refuses them is the check of their integrity', () => {
    const failed = loadVectors('credential-tpm').filter(({ verdict }) => verdict === 'fail');
    expect(failed.map(({ name }) => name)).toEqual(['blob-flipped', 'wrong-ak-name']);
    const [flippedOne, wrongName] = failed.map(({ akName, akPublic }) => ({
      given: unhex(akName),
      computed: computeName(parseTpm2bPublic(unhex(akPublic))),
    }));
    expect(flippedOne?.given).toEqual(flippedOne?.computed);
    expect(wrongName?.given).not.toEqual(wrongName?.computed);
  });

  test('a credential file is whole or refused', () => {
    const { blob } = vector(loadVectors('credential'), 'L-2');
    expectWhole(parseCredentialBlob, unhex(blob));
    expect(() => parseCredentialBlob(patched(unhex(blob), 0, 0xbb))).toThrow(/magic/);
    expect(() => parseCredentialBlob(patched(unhex(blob), 7, 2))).toThrow(/version/);
  });
});

describe('what cannot be made', () => {
  const { ek, objectName } = vector(vectors, 'L-2');
  const make =
    (changes: { ek?: TpmtPublic; secret?: Uint8Array; randomBytes?: (n: number) => Uint8Array }) => () =>
      makeCredential({ ek, objectName, secret: new Uint8Array(32), randomBytes, ...changes });

  test('a secret that the TPM would not take', () => {
    expect(make({ secret: new Uint8Array(33) })).toThrow(RangeError);
    expect(make({ secret: new Uint8Array() })).toThrow(RangeError);
  });

  test('anything for an EK without AES-CFB', () => {
    expect(make({ ek: { ...ek, symmetric: { type: 'null' } } })).toThrow(RangeError);
    expect(make({ ek: { ...ek, symmetric: { type: 'aes', keyBits: 128, mode: 'cbc' } } })).toThrow(
      RangeError,
    );
  });

  test('anything for a template', () => {
    expect(make({ ek: EK_TEMPLATES['H-1'] })).toThrow(TypeError);
  });

  test('an ephemeral key without randomness', () => {
    expect(make({ randomBytes: (length) => new Uint8Array(length) })).toThrow(/does not give random bytes/);
    expect(make({ randomBytes: (length) => new Uint8Array(length).fill(0xff) })).toThrow(
      /does not give random bytes/,
    );
  });
});

test('an encrypted secret that is no point of the curve is malformed', () => {
  const entry = vector(vectors, 'L-2');
  const { idObject, encryptedSecret } = entry.credential;
  const activation = () => activate(entry, { idObject, encryptedSecret: flipped(encryptedSecret, 40) });
  expect(activation).toThrow(ParseError);
});

function activate(
  entry: Pick<Vector, 'ek' | 'objectName'> & { ekPrivate: KeyObject },
  credential: Credential,
) {
  return activateCredential({ ...entry, credential });
}

/** The code of the error; `undefined` when the credential gives a secret. */
function activationCode(
  entry: Pick<Vector, 'ek' | 'objectName'> & { ekPrivate: KeyObject },
  credential: Credential,
): string | undefined {
  try {
    activate(entry, credential);
    return undefined;
  } catch (error) {
    if (error instanceof AssayError) return error.code;
    throw error;
  }
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  return patched(bytes, at, (bytes[at] ?? 0) ^ 1);
}

function refused(act: () => unknown): void {
  expect(act).toThrow(AssayError);
}

/** Bytes that are the same for the same seed. */
function drbg(seed: string): (length: number) => Uint8Array {
  let block = 0;
  return (length) => {
    block += 1;
    return createHash('shake256', { outputLength: length }).update(`${seed} ${block}`).digest();
  };
}
