import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { ParseError } from '../../../../core/errors.ts';
import { spkiOf } from '../../../../core/tpm/key.ts';
import { parseTpm2bPublic } from '../../../../core/tpm/public.ts';
import { EXTENSION } from '../../../../core/x509/certificate.ts';
import { TAG } from '../../../../core/x509/der.ts';
import { der, derBits, derOid, derSequence } from '../../../../core/x509/der-writer.ts';
import {
  appraiseEkCertificate,
  EK_CERTIFICATE_USAGE,
  type EkCertificateRequest,
} from '../../../../core/x509/ek-profile.ts';
import { AT, EK_VECTORS, type EkVector, ekVector } from '../../registrar/domain/ek-vectors.ts';
import { rsa2048 } from './chain-cases.ts';
import {
  basicConstraints,
  directory,
  extension,
  extKeyUsage,
  type Forgery,
  forge,
  forgeCa,
  keyUsage,
  NOON,
  name,
  newKey,
} from './forge.ts';
import { type CaVector, lenient, loadVectors, unbase64 } from './vectors.ts';

/** The check that a vector's description names, and the rule of ours that makes it. */
const RULES: Readonly<Record<string, string>> = {
  pubkey_match: 'ek.same',
  chain: 'ek.chain',
  eku: 'ek.profile',
};

function requestOf(vector: EkVector): EkCertificateRequest {
  return {
    certificate: lenient(vector.certificate),
    chain: vector.intermediates.map(lenient),
    anchors: [lenient(vector.anchor)],
    ekSpki: spkiOf(parseTpm2bPublic(vector.ekPublic)),
    at: AT,
  };
}

const caOf = ({ intermediates, anchor }: CaVector) => ({
  chain: intermediates.map((one) => lenient(unbase64(one))),
  anchors: [lenient(unbase64(anchor))],
});

const rulesOf = (request: EkCertificateRequest) =>
  appraiseEkCertificate(request).findings.map(({ rule }) => rule);

describe('EK certificates of software TPMs: the verdict, and the check that refuses', () => {
  const unreadable = EK_VECTORS.filter(({ failing }) => failing.includes('parse'));
  for (const vector of EK_VECTORS.filter((one) => !unreadable.includes(one))) {
    const rules = vector.failing.map((check) => RULES[check]);
    test(`${rules.join() || 'accepted'}: ${vector.id}`, () => {
      const appraisal = appraiseEkCertificate(requestOf(vector));
      expect(appraisal.findings.map(({ rule }) => rule)).toEqual(rules);
      expect(appraisal.ok).toBe(vector.verdict === 'pass');
      expect(appraisal.path).toHaveLength(vector.failing.includes('chain') ? 0 : 3);
    });
  }

  test('bytes.bounds: those that are cut off', () => {
    expect(unreadable.map(({ id }) => id)).toEqual(['truncated']);
    for (const { certificate } of unreadable) expect(() => lenient(certificate)).toThrow(ParseError);
  });

  test('ek.chain: a CA of the same names and other keys vouches for nothing', () => {
    const rogue = caOf(loadVectors('ek-rogue-ca'));
    const request = requestOf(ekVector('rsa2048-ok'));
    expect(rogue.anchors.map(({ subject }) => subject.text)).toEqual(
      request.anchors.map(({ subject }) => subject.text),
    );
    expect(rulesOf({ ...request, ...rogue })).toEqual(['ek.chain']);
    expect(rulesOf({ ...request, anchors: rogue.anchors })).toEqual(['ek.chain']);
    expect(rulesOf({ ...request, chain: [...rogue.chain, ...request.chain] })).toEqual([]);
  });
});

describe('EK certificates from the NV of TPMs that machines were booted with', () => {
  const { tpms, ...ca } = loadVectors('ek-boots');
  const common = { ...caOf(ca), at: AT };
  const read = tpms.map((tpm) => ({
    name: tpm.name,
    ekSpki: spkiOf(parseTpm2bPublic(unbase64(tpm.ekPublic))),
    rsa: lenient(unbase64(tpm.rsaCertificate)),
    ecc: lenient(unbase64(tpm.eccCertificate)),
  }));

  for (const { name: id, ekSpki, rsa, ecc } of read) {
    test(`accepted: ${id}`, () => {
      const appraisal = appraiseEkCertificate({ ...common, certificate: rsa, ekSpki });
      expect(appraisal).toMatchObject({ ok: true, findings: [], faults: [] });
      expect(appraisal.tpm).toEqual({ manufacturer: 'id:00001014', model: 'swtpm', version: 'id:20191023' });
      expect(rulesOf({ ...common, certificate: ecc, ekSpki: ecc.spki })).toEqual([]);
    });
  }

  test('ek.same: no certificate is for the EK of another TPM, or for the other EK of its own', () => {
    for (const { name: id, ekSpki } of read) {
      for (const { name: other, rsa, ecc } of read) {
        expect(rulesOf({ ...common, certificate: ecc, ekSpki })).toEqual(['ek.same']);
        if (other !== id) expect(rulesOf({ ...common, certificate: rsa, ekSpki })).toEqual(['ek.same']);
      }
    }
  });
});

const TPM_PARTS = [
  ['2.23.133.2.1', 'id:53594E41'],
  ['2.23.133.2.2', 'model'],
  ['2.23.133.2.3', 'id:1'],
] as const;
const tpmNames = (critical: boolean, ...parts: readonly (readonly [string, string])[]) =>
  extension(EXTENSION.SUBJECT_ALT_NAME, critical, derSequence(directory(name(...parts))));
const USAGE = extKeyUsage(EK_CERTIFICATE_USAGE);
const KEY_USAGE = keyUsage('keyAgreement');
const NAMES = tpmNames(false, ...TPM_PARTS);

/** An EK certificate on P-256, as it should be but for `forgery`. */
function judge(forgery: Forgery, at = NOON) {
  const ca = forgeCa({ subject: 'maker' });
  const made = forge({ subject: 'ek', issuer: ca, extensions: [USAGE, KEY_USAGE, NAMES], ...forgery });
  const key = forgery.key ?? made.key;
  const ekSpki = new Uint8Array(key.publicKey.export({ type: 'spki', format: 'der' }));
  return appraiseEkCertificate({
    certificate: made.certificate,
    chain: [],
    anchors: [ca.certificate],
    ekSpki,
    at,
  });
}

describe('each departure from the profile has its finding', () => {
  const CASES: readonly (readonly [what: string, rule: string, message: RegExp, Forgery])[] = [
    ['no extended key usage', 'ek.profile', /extended key usage/, { extensions: [KEY_USAGE, NAMES] }],
    [
      'another extended key usage',
      'ek.profile',
      /extended key usage/,
      { extensions: [extKeyUsage('2.23.133.8.2'), KEY_USAGE, NAMES] },
    ],
    [
      'a CA',
      'ek.profile',
      /is one of a CA/,
      { extensions: [USAGE, KEY_USAGE, NAMES, basicConstraints(true)] },
    ],
    [
      'another key usage',
      'ek.profile',
      /keyAgreement/,
      { extensions: [USAGE, NAMES, keyUsage('digitalSignature')] },
    ],
    [
      'an RSA key with the key usage of another kind of key',
      'ek.profile',
      /keyEncipherment/,
      { key: generateKeyPairSync('rsa', { modulusLength: 2048 }), extensions: [USAGE, NAMES, KEY_USAGE] },
    ],
    [
      'a key that signs certificates',
      'ek.profile',
      /keyCertSign/,
      { extensions: [USAGE, NAMES, keyUsage('keyAgreement', 'keyCertSign')] },
    ],
    ['no subjectAltName', 'ek.profile', /manufacturer, model/, { extensions: [USAGE, KEY_USAGE] }],
    ...TPM_PARTS.map(
      (left) =>
        [
          `a subjectAltName without ${left[0]}`,
          'ek.profile',
          /manufacturer, model/,
          {
            extensions: [USAGE, KEY_USAGE, tpmNames(false, ...TPM_PARTS.filter((part) => part !== left))],
          },
        ] as const,
    ),
    [
      'two manufacturers',
      'ek.profile',
      /manufacturer, model/,
      { extensions: [USAGE, KEY_USAGE, tpmNames(false, ...TPM_PARTS, TPM_PARTS[0])] },
    ],
    ['no subject', 'ek.profile', /neither a subject/, { subject: derSequence() }],
    [
      'an unknown critical extension',
      'ek.chain',
      /1\.2\.3\.4/,
      { extensions: [USAGE, KEY_USAGE, NAMES, extension('1.2.3.4', true, derSequence())] },
    ],
    [
      'an RSA key of 1024 bits',
      'ek.weak',
      /1024/,
      {
        key: generateKeyPairSync('rsa', { modulusLength: 1024 }),
        extensions: [USAGE, NAMES, keyUsage('keyEncipherment')],
      },
    ],
    ['a key on another curve', 'ek.weak', /curve/, { key: newKey('secp256k1') }],
    ['a key of another kind', 'ek.weak', /RSA or ECC/, { key: generateKeyPairSync('ed25519') }],
  ];
  for (const [what, rule, message, forgery] of CASES) {
    test(`${rule}: ${what}`, () => {
      const { ok, findings } = judge(forgery);
      expect(ok).toBe(false);
      expect(findings.map((finding) => finding.rule)).toEqual([rule]);
      expect(findings[0]?.message).toMatch(message);
    });
  }

  test.each([
    ['no-key-usage', [USAGE, NAMES]],
    ['key-usage-of-rsa', [USAGE, NAMES, keyUsage('keyEncipherment')]],
  ])('%s is known of manufacturers: tolerated, and named', (fault, extensions) => {
    expect(judge({ extensions })).toMatchObject({ ok: true, findings: [], faults: [fault] });
  });

  test('accepted: what the cases depart from, and an empty subject beside a critical subjectAltName', () => {
    expect(judge({}).findings).toEqual([]);
    const critical = tpmNames(true, ...TPM_PARTS);
    expect(judge({ subject: derSequence(), extensions: [USAGE, KEY_USAGE, critical] }).findings).toEqual([]);
    const rsa = { key: rsa2048, extensions: [USAGE, NAMES, keyUsage('keyEncipherment')] };
    expect(judge(rsa)).toMatchObject({ ok: true, tpm: { manufacturer: 'id:53594E41' } });
  });

  test('ek.chain: before its first day and after its last', () => {
    for (const at of [new Date('2025-12-31T23:59:59Z'), new Date('2027-01-01T00:00:01Z')]) {
      expect(new Set(judge({}, at).findings.map(({ rule }) => rule))).toEqual(new Set(['ek.chain']));
    }
  });

  test('ek.weak: a point off its curve, or at infinity, is a finding, not an exception', () => {
    const { publicKey } = newKey();
    const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
    spki[spki.length - 1] = (spki.at(-1) ?? 0) ^ 1;
    expect(judge({ spki }).findings.map(({ rule }) => rule)).toContain('ek.weak');
    const point = derSequence(
      derSequence(derOid('1.2.840.10045.2.1'), derOid('1.2.840.10045.3.1.7')),
      derBits(Uint8Array.of(0)),
    );
    expect(judge({ spki: point }).findings.map(({ rule }) => rule)).toContain('ek.weak');
  });

  test('faults of the path are named once, and text of the maker is escaped', () => {
    const model = ['2.23.133.2.2', 'm\u001b[31m'] as const;
    const names = tpmNames(false, TPM_PARTS[0], model, TPM_PARTS[2]);
    const { tpm, faults } = judge({
      serial: der(TAG.INTEGER, Uint8Array.of(0)),
      extensions: [USAGE, KEY_USAGE, names],
    });
    expect(faults).toEqual(['serial-not-positive']);
    expect(tpm?.model).not.toContain('\u001b');
  });

  test('the issuer that is missing is named', () => {
    const unknown = forgeCa({ subject: 'unknown maker' });
    const { missingIssuer, path } = judge({ issuer: unknown });
    expect(missingIssuer?.subject).toBe('CN=unknown maker');
    expect(path).toEqual([]);
  });
});
