import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../../../core/bytes/encoding.ts';
import { AssayError } from '../../../../core/errors.ts';
import { nodeIdOf } from '../../../../core/identity.ts';
import { EK_TEMPLATES } from '../../../../core/tpm/endorsement-key.ts';
import { spkiOf } from '../../../../core/tpm/key.ts';
import { computeName } from '../../../../core/tpm/name.ts';
import { tpmaObject } from '../../../../core/tpm/object-attributes.ts';
import { marshalTpm2bPublic, parseTpm2bPublic, type TpmtPublicEcc } from '../../../../core/tpm/public.ts';
import { createEkCertificate, createManufacturerCa } from '../../../../platform/pki/manufacturer.ts';
import { restoreCandidate, storeCandidate } from '../../../../registrar/domain/candidate.ts';
import { appraise, trustedSet } from '../../../../registrar/domain/ek-appraisal.ts';
import { checkContact, checkTlsCertificate } from '../../../../registrar/domain/endpoint.ts';
import { examineIdentity, type IdentityClaim } from '../../../../registrar/domain/identity.ts';
import { softwareEcc, softwareRsa } from '../../core/tpm/software-key.ts';
import { AT, EK_VECTORS, type EkVector, ekVector } from './ek-vectors.ts';

const VALIDITY = { notBefore: new Date('2024-01-01'), notAfter: new Date('2044-01-01') };
const TPM = { manufacturer: 'id:41535359', model: 'any', version: 'id:1' };
const ak = softwareEcc();
const GOOD = ekVector('rsa2048-ok');
// What the vectors call a failing check, as our rules.
const RULES: Readonly<Record<string, string>> = {
  pubkey_match: 'ek.same',
  chain: 'ek.chain',
  eku: 'ek.profile',
  parse: 'malformed',
};

function claimOf(vector: EkVector, changes: Partial<IdentityClaim> = {}): IdentityClaim {
  return {
    alias: 'node-1',
    ekPublic: vector.ekPublic,
    ekCertificates: [vector.certificate, ...vector.intermediates],
    akPublic: marshalTpm2bPublic(ak.publicArea),
    tlsCertificate: null,
    contact: { host: '192.0.2.1', port: 9002 },
    apiVersion: '2.6',
    tokenSha256: null,
    ...changes,
  };
}

function examine(claim: IdentityClaim, trusted = trustedSet([{ der: GOOD.anchor, kind: 'root' }])) {
  return examineIdentity(claim, (certificates, spki) => appraise(trusted, certificates, spki, AT));
}

/** The rules in a refusal, or its code when it names none. */
function refusalOf(work: () => unknown): readonly string[] {
  try {
    work();
  } catch (error) {
    if (!(error instanceof AssayError)) throw error;
    const rules = error.details.flatMap(({ rule }) => (rule === undefined ? [] : [rule]));
    return rules.length === 0 ? [error.code] : [...new Set(rules)];
  }
  return [];
}

describe('EK certificates of real TPMs', () => {
  test.each(EK_VECTORS)('$id: $verdict $failing', (vector) => {
    const trusted = trustedSet([{ der: vector.anchor, kind: 'root' }]);
    const expected = vector.failing.map((check) => RULES[check]);
    expect(refusalOf(() => examine(claimOf(vector), trusted))).toEqual(expected);
  });

  test('the record: id of the EK, Name of the AK, path to the root, what the certificate says of the TPM', () => {
    const candidate = examine(claimOf(GOOD));
    expect(candidate.nodeId).toBe(nodeIdOf(spkiOf(parseTpm2bPublic(GOOD.ekPublic))));
    expect(toHex(candidate.akName)).toBe(toHex(computeName(ak.publicArea)));
    expect(candidate.ekPath).toHaveLength(3);
    expect(candidate.ekCertificateName).toEqual({ serial: '2', issuer: 'CN=swtpm-localca' });
    expect(candidate.tpm).toMatchObject({ manufacturer: 'id:00001014' });
    expect(candidate.notes).toEqual([]);
  });

  test('filler behind a certificate is cut off, and noted', () => {
    const vector = ekVector('padded-zero-ok');
    const candidate = examine(claimOf(vector), trustedSet([{ der: vector.anchor, kind: 'root' }]));
    expect(candidate.ekCertificate?.length).toBeLessThan(vector.certificate.length);
    expect(candidate.notes).toEqual([
      { rule: 'ek.profile', message: expect.stringContaining('trailing-padding') },
    ]);
  });

  test('ek.chain: an intermediate may come from the store', () => {
    const trusted = trustedSet([
      { der: GOOD.anchor, kind: 'root' },
      ...GOOD.intermediates.map((der) => ({ der, kind: 'intermediate' as const })),
    ]);
    expect(examine(claimOf(GOOD, { ekCertificates: [GOOD.certificate] }), trusted).ekPath).toHaveLength(3);
  });

  test('ek.chain: an intermediate that the node sends, or the store knows, is no anchor', () => {
    const rows = GOOD.intermediates.map((der) => ({ der, kind: 'intermediate' as const }));
    expect(refusalOf(() => examine(claimOf(GOOD), trustedSet(rows)))).toEqual(['ek.chain']);
  });

  test('ek.chain: a root that the node brings along is no anchor', () => {
    const claim = claimOf(GOOD, { ekCertificates: [GOOD.certificate, ...GOOD.intermediates, GOOD.anchor] });
    expect(refusalOf(() => examine(claim, trustedSet([])))).toEqual(['ek.chain']);
  });

  test('ek.chain: the refusal names the issuer that is missing and the command that adds it', () => {
    const claim = claimOf(GOOD, { ekCertificates: [GOOD.certificate] });
    expect(() => examine(claim)).toThrow(
      expect.objectContaining({
        code: 'identity-refused',
        details: [
          { rule: 'ek.chain', message: expect.stringContaining('CN=swtpm-localca') },
          {
            rule: 'ek.chain',
            message: expect.stringMatching(/CN=swtpm-localca, key id [0-9a-f]{40}.*assay trust add FILE/),
          },
        ],
      }),
    );
  });

  test('what cannot be read beside the EK certificate is left out, and noted', () => {
    const ekCertificates = [GOOD.certificate, new Uint8Array([1, 2, 3]), ...GOOD.intermediates];
    expect(examine(claimOf(GOOD, { ekCertificates })).notes).toEqual([
      { rule: 'ek.chain', message: '1 of the certificates beside the EK certificate are unreadable' },
    ]);
  });

  test('an EK without certificate goes on', () => {
    const candidate = examine(claimOf(GOOD, { ekCertificates: [] }));
    expect(candidate).toMatchObject({ ekCertificate: null, ekPath: [], ekCertificateName: null });
  });
});

describe('keys', () => {
  const { authPolicy, symmetric } = EK_TEMPLATES['L-2'];
  const ekArea = { ...EK_TEMPLATES['L-2'], unique: softwareEcc().publicArea.unique } as TpmtPublicEcc;

  function withEk(changes: Partial<TpmtPublicEcc>) {
    const ekPublic = marshalTpm2bPublic({ ...ekArea, ...changes });
    return refusalOf(() => examine(claimOf(GOOD, { ekPublic, ekCertificates: [] })));
  }
  const withAk = (changes: Partial<TpmtPublicEcc>) =>
    refusalOf(() =>
      examine(claimOf(GOOD, { akPublic: marshalTpm2bPublic(softwareEcc(changes).publicArea) })),
    );

  test('a good EK is refused for nothing', () => expect(withEk({})).toEqual([]));

  test('ek.weak: an RSA EK of 1024 bits', () => {
    const objectAttributes = EK_TEMPLATES['L-1'].objectAttributes;
    const weak = softwareRsa({
      keyBits: 1024,
      objectAttributes,
      authPolicy,
      symmetric,
      scheme: { type: 'null' },
    });
    const ekPublic = marshalTpm2bPublic(weak.publicArea);
    expect(refusalOf(() => examine(claimOf(GOOD, { ekPublic, ekCertificates: [] })))).toEqual(['ek.weak']);
  });

  test('an EK that may leave its TPM', () => {
    const objectAttributes = { ...ekArea.objectAttributes, fixedTPM: false };
    expect(withEk({ objectAttributes })).toEqual(['ek.attributes']);
  });

  test('an EK with a policy of its own is tolerated and noted', () => {
    const ekPublic = marshalTpm2bPublic({ ...ekArea, authPolicy: fromHex('11'.repeat(32), 'policy') });
    const { notes } = examine(claimOf(GOOD, { ekPublic, ekCertificates: [] }));
    expect(notes).toMatchObject([{ rule: 'ek.policy' }]);
  });

  test.each(['restricted', 'fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'sign'] as const)(
    'ak.attributes: an AK without %s',
    (name) => {
      const objectAttributes = { ...ak.publicArea.objectAttributes, [name]: false };
      expect(withAk({ objectAttributes })).toEqual(['ak.attributes']);
    },
  );

  test('ak.attributes: an AK that decrypts as well', () => {
    const all = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'restricted', 'sign', 'decrypt'] as const;
    expect(withAk({ objectAttributes: tpmaObject(...all) })).toEqual(['ak.attributes']);
  });

  test('every finding is told at once', () => {
    const objectAttributes = { ...ak.publicArea.objectAttributes, restricted: false };
    const akPublic = marshalTpm2bPublic(softwareEcc({ objectAttributes }).publicArea);
    const vector = ekVector('cert-of-other-tpm');
    const trusted = trustedSet([{ der: vector.anchor, kind: 'root' }]);
    expect(refusalOf(() => examine(claimOf(vector, { akPublic }), trusted))).toEqual([
      'ak.attributes',
      'ek.same',
    ]);
  });
});

describe('where the node answers', () => {
  test.each(['192.0.2.1', '2001:db8::1', 'node-7', 'node-7.rack.example.org', 'A9'])('%s', (host) => {
    expect(refusalOf(() => checkContact({ host, port: 9002 }))).toEqual([]);
  });

  test.each(['', 'a b', 'user@host', 'host/path', '-a', 'a-', 'a..b', 'a\n', '[::1]', 'é', 'a'.repeat(64)])(
    'api.dial: "%s" is refused',
    (host) => expect(refusalOf(() => checkContact({ host, port: 9002 }))).toEqual(['invalid-request']),
  );

  test.each([0, 65536, 1.5, -1])('port %d is refused', (port) => {
    expect(refusalOf(() => checkContact({ host: 'a', port }))).toEqual(['invalid-request']);
  });

  test('a TLS certificate is one certificate, whole', () => {
    expect(refusalOf(() => checkTlsCertificate(GOOD.anchor))).toEqual([]);
    const trailing = new Uint8Array([...GOOD.anchor, 0]);
    expect(refusalOf(() => checkTlsCertificate(trailing))).toEqual(['tls.certificate']);
    expect(refusalOf(() => checkTlsCertificate(new Uint8Array([0x30, 0])))).toEqual(['tls.certificate']);
    const pem = `-----BEGIN CERTIFICATE-----\n${Buffer.from(GOOD.anchor).toString('base64')}\n-----END CERTIFICATE-----\n`;
    expect(refusalOf(() => checkTlsCertificate(Buffer.from(pem)))).toEqual(['tls.certificate']);
    // An identity is not made with one either, nor with a contact that cannot be one.
    expect(refusalOf(() => examine(claimOf(GOOD, { tlsCertificate: GOOD.anchor })))).toEqual([]);
    expect(refusalOf(() => examine(claimOf(GOOD, { tlsCertificate: trailing })))).toEqual([
      'tls.certificate',
    ]);
    const nowhere = { host: 'a b', port: 9002 };
    expect(refusalOf(() => examine(claimOf(GOOD, { contact: nowhere })))).toEqual(['invalid-request']);
  });
});

test('a TLS key of RSA 1024 is refused', async () => {
  const ca = await createManufacturerCa({ commonName: 'Any CA', ...VALIDITY });
  const ekSpki = spkiOf(softwareRsa({ keyBits: 1024 }).publicArea);
  const { der } = await createEkCertificate({ ca, ekSpki, keyType: 'rsa', tpm: TPM, ...VALIDITY });
  expect(refusalOf(() => checkTlsCertificate(der))).toEqual(['tls.certificate']);
});

describe('a candidate', () => {
  test('comes back as it was kept', () => {
    const candidate = examine(claimOf(GOOD, { tokenSha256: new Uint8Array(32).fill(1) }));
    const stored: unknown = JSON.parse(JSON.stringify(storeCandidate(candidate)));
    expect(storeCandidate(restoreCandidate(stored))).toEqual(stored);
  });

  test('is not made of anything else', () => {
    expect(() => restoreCandidate({ alias: 'x' })).toThrow(TypeError);
  });
});
