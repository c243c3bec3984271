import { describe, expect, test } from 'vitest';
import { toHex } from '../../../../core/bytes/encoding.ts';
import { checkAttestationKey } from '../../../../core/tpm/attestation-key.ts';
import { appraiseCertify, type CertifyInput, checkNodeCaKey } from '../../../../core/tpm/certify.ts';
import { computeName } from '../../../../core/tpm/name.ts';
import { type ObjectAttribute, tpmaObject } from '../../../../core/tpm/object-attributes.ts';
import { parseTpm2bPublic, type TpmtPublic } from '../../../../core/tpm/public.ts';
import { attestation, NONCE, quoteInfo, signed, softwareEcc, softwareRsa } from './software-key.ts';
import { loadVectors, unhex } from './vectors.ts';

describe('certifications of TPMs', () => {
  for (const certify of loadVectors('certify')) {
    const input: CertifyInput = {
      akPublic: parseTpm2bPublic(unhex(certify.signerPublic)),
      attest: unhex(certify.attest),
      signature: unhex(certify.signature),
      nonce: unhex(certify.nonce),
      objectPublic: parseTpm2bPublic(unhex(certify.objectPublic)),
      checkObject: checkAttestationKey,
    };

    test(`${certify.name} passes, and gives the Name`, () => {
      const appraisal = appraiseCertify(input);
      expect(appraisal.ok && toHex(appraisal.certified.name)).toBe(certify.objectName);
    });

    test(`issue.tpm: ${certify.name} as a node's CA key`, () => {
      const { checkObject: _, ...asNodeCa } = input;
      expect(rulesOf(asNodeCa)).toEqual(['issue.tpm']);
    });
  }
});

describe('certifications of a key that signs anything', () => {
  const ak = softwareEcc();
  const objectPublic = softwareEcc({ objectAttributes: nodeCa(), scheme: { type: 'null' } }).publicArea;
  const good = input(objectPublic);

  test('a key of the right kind passes', () => {
    expect(appraiseCertify(good)).toMatchObject({ ok: true, certified: { publicArea: objectPublic } });
  });

  test('certify.name: another key than the one that was certified', () => {
    const other = softwareEcc({ objectAttributes: nodeCa() }).publicArea;
    expect(rulesOf({ ...good, objectPublic: other })).toEqual(['certify.name']);
  });

  test('certify.name: the certified key with other attributes', () => {
    const objectAttributes = { ...objectPublic.objectAttributes, noDA: true };
    expect(rulesOf({ ...good, objectPublic: { ...objectPublic, objectAttributes } })).toEqual([
      'certify.name',
    ]);
  });

  test('certify.nonce: an answer to another challenge', () => {
    expect(rulesOf({ ...good, nonce: Uint8Array.of(...NONCE).reverse() })).toEqual(['certify.nonce']);
  });

  test('certify.signature: another AK', () => {
    expect(rulesOf({ ...good, akPublic: softwareEcc().publicArea })).toEqual(['certify.signature']);
  });

  test('certify.signer: an AK with another scheme', () => {
    const akPublic = { ...ak.publicArea, scheme: { type: 'ecdsa', hash: 'sha512' } } as TpmtPublic;
    expect(rulesOf({ ...good, akPublic })).toEqual(['certify.signer']);
  });

  test('certify.magic: a quote of the same AK', () => {
    const quote = signed(ak, attestation(quoteInfo([], new Map())));
    expect(rulesOf({ ...good, ...quote })).toEqual(['certify.magic']);
  });

  test('certify.magic: a creation attestation of the same key', () => {
    const attested = {
      type: 'creation',
      objectName: computeName(objectPublic),
      creationHash: NONCE,
    } as const;
    expect(rulesOf({ ...good, ...signed(ak, attestation(attested)) })).toEqual(['certify.magic']);
  });

  test('ak.attributes: certified by a key that is not restricted', () => {
    const objectAttributes = { ...ak.publicArea.objectAttributes, restricted: false };
    expect(rulesOf({ ...good, akPublic: { ...ak.publicArea, objectAttributes } })).toEqual(['ak.attributes']);
  });

  for (const missing of ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'sign'] as const) {
    test(`issue.tpm: a key without ${missing}`, () => {
      const key = softwareEcc({ objectAttributes: { ...nodeCa(), [missing]: false } }).publicArea;
      expect(rulesOf(input(key))).toEqual(['issue.tpm']);
    });
  }

  for (const forbidden of ['restricted', 'decrypt'] as const) {
    test(`issue.tpm: a key that is ${forbidden}`, () => {
      const key = softwareEcc({ objectAttributes: nodeCa(forbidden) }).publicArea;
      expect(rulesOf(input(key))).toEqual(['issue.tpm']);
    });
  }

  test('issue.tpm: a Name made with SHA-1, and a short RSA key', () => {
    const sha1 = softwareEcc({ objectAttributes: nodeCa(), nameAlg: 'sha1' }).publicArea;
    expect(checkNodeCaKey(sha1)).toHaveLength(1);
    const short = softwareRsa({ objectAttributes: nodeCa(), keyBits: 1024 }).publicArea;
    expect(checkNodeCaKey(short)).toHaveLength(1);
  });

  function input(object: TpmtPublic): CertifyInput {
    const attested = {
      type: 'certify',
      name: computeName(object),
      qualifiedName: new Uint8Array(34),
    } as const;
    return {
      akPublic: ak.publicArea,
      ...signed(ak, attestation(attested)),
      nonce: NONCE,
      objectPublic: object,
    };
  }
});

function nodeCa(...more: readonly ObjectAttribute[]) {
  return tpmaObject('fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'sign', ...more);
}

function rulesOf(input: CertifyInput): string[] {
  const appraisal = appraiseCertify(input);
  return appraisal.ok ? [] : appraisal.findings.map(({ rule }) => rule);
}
