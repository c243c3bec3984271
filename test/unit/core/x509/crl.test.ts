import { CertificateRevocationList, Certificate as PkijsCertificate } from 'pkijs';
import { describe, expect, test } from 'vitest';
import type { Certificate } from '../../../../core/x509/certificate.ts';
import {
  CRL_REASON,
  type CrlContent,
  type CrlReason,
  parseCrl,
  writeCrl,
} from '../../../../core/x509/crl.ts';
import { renderPem } from '../../../../core/x509/pem.ts';
import { verifySignature } from '../../../../core/x509/signature.ts';
import { forgeCa, NOON } from './forge.ts';
import { nodePki } from './node-pki.ts';
import { Openssl } from './openssl.ts';
import { askPkijs, bufferOf } from './pkijs.ts';

const openssl = new Openssl();
const { root, rootKey, issuing, nodeCa, nodeKey, leaf } = await nodePki();
const hour = (hours: number) => new Date(NOON.getTime() + hours * 3_600_000);
const REASONS = Object.keys(CRL_REASON).filter((reason): reason is CrlReason => reason in CRL_REASON);
const others = REASONS.map((reason, i) => ({ serialHex: `4${i}aa`, revokedAt: hour(-i), reason }));
const REVOKED: CrlContent['revoked'] = [
  ...others,
  { serialHex: nodeCa.serialHex, revokedAt: hour(-1), reason: 'privilegeWithdrawn' },
];

const issuingCrl = (content: Partial<CrlContent> = {}) =>
  writeCrl(issuing.certificate, issuing.privateKey, {
    number: 7n,
    thisUpdate: hour(-1),
    nextUpdate: hour(1),
    revoked: REVOKED,
    ...content,
  });
const rootCrl = () =>
  writeCrl(root, rootKey, { number: 1n, thisUpdate: hour(-1), nextUpdate: hour(1), revoked: [] });

const certificatePem = (...certificates: readonly Certificate[]) =>
  certificates.map(({ der }) => renderPem('CERTIFICATE', der)).join('');

/** The error of `openssl verify -crl_check` about the one certificate. */
function opensslCrlCheck(end: Certificate, above: readonly Certificate[], crl: Uint8Array): string {
  const { output } = openssl.run(
    'verify',
    '-x509_strict',
    '-crl_check',
    '-attime',
    String(NOON.getTime() / 1000),
    '-CAfile',
    openssl.file('root.pem', certificatePem(root)),
    '-untrusted',
    openssl.file('above.pem', certificatePem(...above)),
    '-CRLfile',
    openssl.file('crl.pem', renderPem('X509 CRL', crl)),
    openssl.file('end.pem', certificatePem(end)),
  );
  return /error \d+ at \d depth lookup: (.*)/.exec(output)?.[1] ?? (/: OK/.test(output) ? 'OK' : output);
}

const opensslSays = (crl: Uint8Array) => opensslCrlCheck(nodeCa, [issuing.certificate], crl);

const pkijsSays = (crl: Uint8Array) =>
  askPkijs({
    certificates: [issuing.certificate.der, nodeCa.der],
    anchors: [root.der],
    crls: [crl, rootCrl()],
    at: NOON,
  });

/** Whether openssl finds the CRL's issuer and signature good. */
function opensslVerifies(crl: Uint8Array, ca: Certificate): boolean {
  const path = openssl.file('one.crl', crl);
  const anchor = openssl.file('ca.pem', certificatePem(ca));
  return openssl
    .run('crl', '-inform', 'DER', '-in', path, '-noout', '-verify', '-CAfile', anchor)
    .output.includes('verify OK');
}

describe('our CRL', () => {
  const der = issuingCrl();

  test('is read as it was written', () => {
    const crl = parseCrl(der);
    expect(crl).toMatchObject({ number: 7n, thisUpdate: hour(-1), nextUpdate: hour(1), der });
    expect(crl.issuer.der).toEqual(issuing.certificate.subject.der);
    expect(crl.authorityKeyId).toEqual(issuing.certificate.subjectKeyId);
    expect([...crl.revoked]).toEqual(
      REVOKED.map(({ serialHex, revokedAt, reason }) => [
        serialHex,
        { revokedAt, reason: CRL_REASON[reason] },
      ]),
    );
    expect(verifySignature(crl, issuing.certificate)).toBe('good');
  });

  test('is what openssl reads in it, each reason among it', () => {
    const text = openssl.text('crl', '-inform', 'DER', '-in', openssl.file('t.crl', der), '-noout', '-text');
    expect(text).toMatch(/Version 2 \(0x1\)\s+Signature Algorithm: ecdsa-with-SHA256/);
    expect(text).toContain('X509v3 CRL Number: \n                7\n');
    expect(text).not.toContain('critical');
    expect(text.match(/CRL Reason Code: \n *(.*)/g)?.map((line) => line.trim().split(/\n */)[1])).toEqual([
      'Key Compromise',
      'CA Compromise',
      'Affiliation Changed',
      'Superseded',
      'Cessation Of Operation',
      'Privilege Withdrawn',
      'Privilege Withdrawn',
    ]);
    const serials = [...text.matchAll(/Serial Number: ([0-9A-F]+)/g)].map(([, serial = '']) =>
      serial.toLowerCase(),
    );
    expect(serials).toEqual(REVOKED.map(({ serialHex }) => serialHex));
    expect(opensslVerifies(der, issuing.certificate)).toBe(true);
  });

  test('revokes, for openssl and for pkijs', async () => {
    expect(opensslSays(der)).toBe('certificate revoked');
    expect(await pkijsSays(der)).toEqual({
      accepts: false,
      message: 'One of certificates had been revoked',
    });
  });

  test('revokes nothing else: the certificate is good with a CRL that does not list it', async () => {
    for (const revoked of [others, []]) {
      expect(opensslSays(issuingCrl({ revoked }))).toBe('OK');
      expect(await pkijsSays(issuingCrl({ revoked }))).toEqual({ accepts: true, message: '' });
    }
  });

  test('pkijs verifies it and finds each serial number', async () => {
    const crl = CertificateRevocationList.fromBER(bufferOf(der));
    const certificate = PkijsCertificate.fromBER(bufferOf(nodeCa.der));
    const issuerCertificate = PkijsCertificate.fromBER(bufferOf(issuing.certificate.der));
    expect(await crl.verify({ issuerCertificate })).toBe(true);
    expect(crl.isCertificateRevoked(certificate)).toBe(true);
    expect(crl.revokedCertificates).toHaveLength(REVOKED.length);
    expect(crl.isCertificateRevoked(issuerCertificate)).toBe(false);
  });

  test('with an empty list has no list (RFC 5280, 5.1.2.6)', () => {
    const empty = issuingCrl({ revoked: [] });
    expect(parseCrl(empty).revoked.size).toBe(0);
    expect(
      openssl.text('crl', '-inform', 'DER', '-in', openssl.file('e.crl', empty), '-noout', '-text'),
    ).toContain('No Revoked Certificates.');
    expect(opensslVerifies(empty, issuing.certificate)).toBe(true);
  });

  test('of 5,000 entries is read back whole, and by openssl', () => {
    const revoked = Array.from({ length: 5000 }, (_, i) => ({
      serialHex: (0x400000 + i).toString(16),
      revokedAt: hour(-1),
      reason: 'superseded' as const,
    }));
    const large = issuingCrl({ revoked });
    expect(parseCrl(large).revoked.size).toBe(5000);
    expect(opensslVerifies(large, issuing.certificate)).toBe(true);
  });
});

describe('who relies on a CRL refuses', () => {
  test('one by another CA of the same name', async () => {
    const twin = forgeCa({ subject: issuing.certificate.subject.der });
    const der = writeCrl(twin.certificate, twin.key.privateKey, {
      number: 7n,
      thisUpdate: hour(-1),
      nextUpdate: hour(1),
      revoked: [],
    });
    expect(verifySignature(parseCrl(der), issuing.certificate)).toBe('bad');
    expect(opensslVerifies(der, issuing.certificate)).toBe(false);
    expect(opensslSays(der)).toBe('unable to get certificate CRL');
    expect((await pkijsSays(der)).message).toContain('No valid CRLs found');
  });

  test('one by a CA of another name', async () => {
    expect(verifySignature(parseCrl(rootCrl()), issuing.certificate)).toBe('bad');
    expect(opensslSays(rootCrl())).toBe('unable to get certificate CRL');
    expect((await pkijsSays(rootCrl())).message).toContain('No CRLs for specific certificate issuer');
  });

  test('one that was changed', async () => {
    const der = issuingCrl({ revoked: others });
    const changed = Uint8Array.from(der);
    const at = Buffer.from(der).indexOf(Buffer.from('43aa', 'hex'));
    changed[at] = 0x42;
    changed[at + 1] = 0xab;
    expect(parseCrl(changed).revoked.has('42ab')).toBe(true);
    expect(verifySignature(parseCrl(changed), issuing.certificate)).toBe('bad');
    expect(opensslVerifies(changed, issuing.certificate)).toBe(false);
    expect(opensslSays(changed)).toBe('CRL signature failure');
    expect((await pkijsSays(changed)).message).toContain('No valid CRLs found');
  });

  test('one that is over, or has not begun', async () => {
    const der = issuingCrl({ revoked: others, nextUpdate: new Date(NOON.getTime() - 1000) });
    expect(opensslSays(der)).toBe('CRL has expired');
    expect((await pkijsSays(der)).message).toContain('No valid CRLs found');
    expect(opensslSays(issuingCrl({ revoked: others, thisUpdate: hour(0.5) }))).toBe('CRL is not yet valid');
  });

  test('one by a node, whose CA may sign certificates alone', async () => {
    const content = { number: 1n, thisUpdate: hour(-1), nextUpdate: hour(1), revoked: [] };
    const crl = writeCrl(nodeCa, nodeKey.privateKey, content);
    const says = opensslCrlCheck(leaf, [nodeCa, issuing.certificate], crl);
    expect(says).toBe('key usage does not include CRL signing');
    const verdict = await askPkijs({
      certificates: [issuing.certificate.der, nodeCa.der, leaf.der],
      anchors: [root.der],
      crls: [crl, issuingCrl({ revoked: others }), rootCrl()],
      at: NOON,
    });
    expect(verdict.message).toContain('does not have crlSign flag');
  });
});

describe('what a CRL cannot say is not written', () => {
  const entry = { serialHex: '41', revokedAt: NOON, reason: 'superseded' as const };
  const CASES: readonly (readonly [what: string, Partial<CrlContent>])[] = [
    ['a serial number twice', { revoked: [entry, { ...entry, reason: 'keyCompromise' }] }],
    ['a fraction of a second in thisUpdate', { thisUpdate: new Date(1) }],
    ['a fraction of a second in nextUpdate', { nextUpdate: new Date(NOON.getTime() + 1) }],
    ['a fraction of a second in a revocation', { revoked: [{ ...entry, revokedAt: new Date(1) }] }],
    ['a year before 1950', { thisUpdate: new Date('1949-12-31T23:59:59Z') }],
    ['a year after 9999', { nextUpdate: new Date('+010000-01-01T00:00:00Z') }],
    ['a negative number', { number: -1n }],
    ['a number over 20 bytes', { number: 1n << 159n }],
  ];
  for (const [what, content] of CASES) {
    test(what, () => {
      expect(() => issuingCrl(content)).toThrow(RangeError);
    });
  }

  test('a CA without a key identifier', () => {
    const ca = forgeCa({ ski: null });
    const content = { number: 1n, thisUpdate: NOON, nextUpdate: hour(1), revoked: [] };
    expect(() => writeCrl(ca.certificate, ca.key.privateKey, content)).toThrow(/subjectKeyIdentifier/);
  });

  test('the largest number is read back, by openssl too', () => {
    const number = (1n << 159n) - 1n;
    const der = issuingCrl({ number });
    expect(parseCrl(der).number).toBe(number);
    const text = openssl.text(
      'crl',
      '-inform',
      'DER',
      '-in',
      openssl.file('n.crl', der),
      '-noout',
      '-crlnumber',
    );
    expect(BigInt(text.trim().replace('crlNumber=', ''))).toBe(number);
  });
});
