import { randomBytes } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { nodeIdOf } from '../../../core/identity.ts';
import { type Certificate, parseCertificate } from '../../../core/x509/certificate.ts';
import { parseCrl } from '../../../core/x509/crl.ts';
import { verifySignature } from '../../../core/x509/signature.ts';
import { checkIssued } from '../../../issuer/signer/check-issued.ts';
import { fileSigner } from '../../../issuer/signer/file-signer.ts';
import type { NodeCaRequest } from '../../../issuer/signer/signer.ts';
import type { KeyedCertificate } from '../../../platform/pki/certify.ts';
import { createKeyPair, randomSerial } from '../../../platform/pki/keys.ts';
import { createIssuingCa, createNodeCaCertificate, createNodeRoot } from '../../../platform/pki/node-ca.ts';

const names = { trustDomain: 'example.org', nodesDomain: 'nodes.example.org' };
const day = (days: number) => new Date(Date.UTC(2026, 2, 1 + days));
const validity = { notBefore: day(0), notAfter: day(100) };
let issuingCa: KeyedCertificate;
let request: NodeCaRequest;

async function newSpki(): Promise<Uint8Array> {
  const { publicKey } = await createKeyPair('p256');
  return new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
}

beforeAll(async () => {
  const root = await createNodeRoot({ commonName: 'root', ...validity });
  issuingCa = await createIssuingCa({ root, group: 'web', ...validity });
  const spki = await newSpki();
  const nodeId = nodeIdOf(randomBytes(91));
  request = { nodeId, spki, serial: randomSerial(), notBefore: day(1), notAfter: day(2) };
});

const signer = () => fileSigner(issuingCa.certificate, issuingCa.privateKey, names);
const make = (asked: NodeCaRequest) =>
  createNodeCaCertificate({ ...names, ...asked, publicKeySpki: asked.spki, issuingCa });
const check = (made: Certificate) => checkIssued(made, issuingCa.certificate, request, names);

test('issue.profile: what is signed is what was recorded', async () => {
  const certificate = parseCertificate(await signer().signNodeCa(request));
  expect(certificate).toMatchObject({ notBefore: request.notBefore, notAfter: request.notAfter });
  expect(Buffer.from(certificate.serial).equals(request.serial)).toBe(true);
  expect(verifySignature(certificate, issuingCa.certificate)).toBe('good');
  expect(() => check(certificate)).not.toThrow();
});

const departures: readonly [name: string, change: () => Promise<Partial<NodeCaRequest>>, problem: RegExp][] =
  [
    ['for another node', async () => ({ nodeId: nodeIdOf(randomBytes(91)) }), /subject is not CN=/],
    ['for another key', async () => ({ spki: await newSpki() }), /for another key/],
    ['with another serial number', async () => ({ serial: randomSerial() }), /serial number/],
    ['that ends earlier', async () => ({ notAfter: day(1.5) }), /dates are not the recorded/],
    ['that begins earlier', async () => ({ notBefore: day(0.5) }), /dates are not the recorded/],
    ['that ends later', async () => ({ notAfter: day(3) }), /longer than the node is trusted/],
  ];
for (const [name, change, problem] of departures) {
  test(`issue.profile: a certificate ${name} does not leave, whoever signed it`, async () => {
    const made = await make({ ...request, ...(await change()) });
    expect(() => check(made)).toThrow(
      expect.objectContaining({
        code: 'unavailable',
        details: expect.arrayContaining([{ rule: 'issue.profile', message: expect.stringMatching(problem) }]),
      }),
    );
  });
}

test('issue.profile: a certificate says where its status can be asked if that is configured, and nowhere else', async () => {
  const revocation = { crl: 'http://r.example.org/crl/ab.crl', ocsp: 'http://r.example.org/ocsp' };
  const pointing = fileSigner(issuingCa.certificate, issuingCa.privateKey, { ...names, revocation });
  const made = parseCertificate(await pointing.signNodeCa(request));
  expect(made.crlDistributionPoints).toEqual([revocation.crl]);
  expect(made.authorityInfoAccess?.ocsp).toEqual([revocation.ocsp]);
  const details = [{ rule: 'issue.profile', message: expect.stringContaining('other places') }];
  expect(() => check(made)).toThrow(expect.objectContaining({ details }));
  const other = { ...names, revocation: { ...revocation, ocsp: 'http://evil.example/ocsp' } };
  expect(() => checkIssued(made, issuingCa.certificate, request, other)).toThrow(
    expect.objectContaining({ details }),
  );
});

test('a certificate that outlives its issuing CA does not leave', async () => {
  const late = { ...request, notAfter: day(101) };
  await expect(signer().signNodeCa(late)).rejects.toMatchObject({
    details: [{ rule: 'issue.profile', message: expect.stringContaining('outlives its issuing CA') }],
  });
});

test('a key of another CA is refused at once', async () => {
  const { privateKey } = await createKeyPair('p256');
  expect(() => fileSigner(issuingCa.certificate, privateKey, names)).toThrow(RangeError);
});

test('a CRL says which serial numbers are revoked, when and why', async () => {
  const revoked = [{ serial: request.serial, revokedAt: day(1), reason: 'keyCompromise' as const }];
  const dates = { thisUpdate: day(1), nextUpdate: day(2) };
  const crl = parseCrl(await signer().signCrl({ number: 7n, ...dates, revoked }));
  expect(crl).toMatchObject({ number: 7n, ...dates });
  expect([...crl.revoked]).toEqual([
    [Buffer.from(request.serial).toString('hex'), { revokedAt: day(1), reason: 1 }],
  ]);
  expect(verifySignature(crl, issuingCa.certificate)).toBe('good');
});
