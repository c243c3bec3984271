import { spawnSync } from 'node:child_process';
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as asn1js from 'asn1js';
import * as pkijs from 'pkijs';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { toHex } from '../../../core/bytes/encoding.ts';
import { parseCertificate } from '../../../core/x509/certificate.ts';
import { renderPem } from '../../../core/x509/pem.ts';
import { type OcspAnswers, ocspResponder, type StatusLookup } from '../../../issuer/ocsp/responder.ts';
import { fileSigner } from '../../../issuer/signer/file-signer.ts';
import type { KeyedCertificate } from '../../../platform/pki/certify.ts';
import { createIssuingCa, createNodeRoot } from '../../../platform/pki/node-ca.ts';

const HOUR_MS = 3_600_000;
const NAMES = { trustDomain: 'example.org', nodesDomain: 'nodes.example.org' };
const directory = mkdtempSync(join(tmpdir(), 'assay-ocsp-'));
const file = (name: string, content: string | Uint8Array = '') => {
  const path = join(directory, name);
  if (content.length > 0) writeFileSync(path, content);
  return path;
};
const known = new Map<
  string,
  Awaited<ReturnType<StatusLookup>> extends ReadonlyMap<string, infer T> ? T : never
>();
const GOOD = randomSerial();
const FAILED = randomSerial();
const RETIRED = randomSerial();
let root: KeyedCertificate;
let web: KeyedCertificate;
let db: KeyedCertificate;
let now = new Date();
let answer: (request: Uint8Array) => Promise<OcspAnswers>;

function randomSerial(): Uint8Array {
  const serial = randomBytes(16);
  serial[0] = 0x41;
  return serial;
}

function opensslCommand(...args: readonly string[]): { ok: boolean; output: string } {
  const { status, stdout, stderr } = spawnSync('openssl', [...args], { encoding: 'utf8', timeout: 10_000 });
  return { ok: status === 0, output: `${stdout}${stderr}` };
}

beforeAll(async () => {
  const validity = {
    notBefore: new Date(Date.now() - HOUR_MS),
    notAfter: new Date(Date.now() + 48 * HOUR_MS),
  };
  root = await createNodeRoot({ ...validity, commonName: 'root' });
  [web, db] = [
    await createIssuingCa({ ...validity, root, group: 'web' }),
    await createIssuingCa({ ...validity, root, group: 'db' }),
  ];
  for (const [name, ca] of Object.entries({ root, web, db }))
    file(`${name}.pem`, renderPem('CERTIFICATE', ca.certificate.der));
  const row = { revokedAt: null, reason: null, revoked: false };
  known.set(toHex(GOOD), { ...row, serial: GOOD });
  const failedAt = new Date('2026-05-04T03:02:01.987Z');
  known.set(toHex(FAILED), { serial: FAILED, revoked: true, revokedAt: failedAt, reason: 'failed' });
  known.set(toHex(RETIRED), { serial: RETIRED, revoked: true, revokedAt: failedAt, reason: 'retired' });
  const signers = [web, db].map(({ certificate, privateKey }) =>
    fileSigner(certificate, createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })), NAMES),
  );
  const [first] = signers;
  const lookup: StatusLookup = async (authority, serials) => {
    const rows = toHex(authority) === toHex(first?.sha256 ?? new Uint8Array()) ? known : new Map();
    return new Map([...rows].filter(([serial]) => serials.some((one) => toHex(one) === serial)));
  };
  answer = ocspResponder({ signers, lookup, lifetimeMs: 60_000, clock: () => now });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function requestFor(
  serials: readonly Uint8Array[],
  issuer = 'web',
  ...options: readonly string[]
): Uint8Array {
  const path = file('request.der');
  const args = serials.flatMap((serial) => ['-serial', `0x${toHex(serial)}`]);
  const made = opensslCommand('ocsp', '-issuer', file(`${issuer}.pem`), ...options, ...args, '-reqout', path);
  if (!made.ok) throw new Error(made.output);
  return new Uint8Array(readFileSync(path));
}

/** What openssl makes of an answer, as a relying party that trusts the root alone. */
async function opensslSays(
  serial: Uint8Array,
  issuer = 'web',
  ...options: readonly string[]
): Promise<string> {
  const { der } = await answer(requestFor([serial], issuer, '-no_nonce', ...options));
  const path = file('answer.der', der);
  const trust = ['-CAfile', file('root.pem'), '-issuer', file(`${issuer}.pem`)];
  const asked = ['-no_nonce', '-serial', `0x${toHex(serial)}`];
  const untrusted = ['-verify_other', file(`${issuer}.pem`)];
  return opensslCommand('ocsp', '-respin', path, ...trust, ...untrusted, ...options, ...asked).output;
}

describe('openssl, which trusts the root alone, reads', () => {
  test.each(['-sha1', '-sha256', '-sha512'])('good, with %s', async (name) => {
    const said = await opensslSays(GOOD, 'web', name);
    expect(said).toContain('Response verify OK');
    expect(said).toMatch(/: good/);
  });

  test('revoked, with the time and the reason', async () => {
    const said = await opensslSays(FAILED);
    expect(said).toContain('Response verify OK');
    expect(said).toMatch(/: revoked/);
    expect(said).toContain('Reason: keyCompromise');
    expect(said).toContain('Revocation Time: May  4 03:02:01 2026 GMT');
    expect(await opensslSays(RETIRED)).toContain('Reason: cessationOfOperation');
  });

  test('unknown, of a number that was never given out', async () => {
    const said = await opensslSays(randomSerial());
    expect(said).toContain('Response verify OK');
    expect(said).toMatch(/: unknown/);
  });

  test("unknown, of another CA's number", async () => {
    expect(await opensslSays(GOOD, 'db')).toMatch(/: unknown/);
  });
});

describe('an answer', () => {
  test('gives the nonce back, and is not for keeping then', async () => {
    const request = requestFor([GOOD], 'web', '-nonce');
    const { der, keep } = await answer(request);
    expect(keep).toBeUndefined();
    const path = file('answer.der', der);
    const said = opensslCommand(
      ...['ocsp', '-respin', path, '-reqin', file('request.der'), '-CAfile', file('root.pem')],
      ...['-verify_other', file('web.pem'), '-issuer', file('web.pem')],
    );
    expect(said.output).toContain('Response verify OK');
    expect(said.output).not.toMatch(/no nonce|Nonce Verify error/i);
  });

  test('speaks for several certificates of one CA, and says unknown of others', async () => {
    const { outcomes, keep } = await answer(requestFor([GOOD, FAILED, randomSerial()], 'web', '-no_nonce'));
    expect(outcomes).toEqual(['good', 'revoked', 'unknown']);
    expect(keep?.until.getTime()).toBe((keep?.from.getTime() ?? 0) + 60_000);
  });

  test('is signed by a delegate that can do nothing else, for a day', async () => {
    const basic = await pkijsReads(requestFor([GOOD]));
    const delegate = parseCertificate(new Uint8Array(basic.certs?.[0]?.toSchema().toBER() ?? []));
    expect(delegate.extKeyUsage).toEqual(['1.3.6.1.5.5.7.3.9']);
    expect(delegate.extensions.map(({ oid }) => oid)).toContain('1.3.6.1.5.5.7.48.1.5');
    expect(delegate.subjectAltName).toBeUndefined();
    expect(delegate.basicConstraints?.ca ?? false).toBe(false);
    expect(delegate.notAfter.getTime() - now.getTime()).toBeLessThanOrEqual(24 * HOUR_MS);
    const responder = new X509Certificate(delegate.der);
    expect(responder.verify(web.certificate.publicKey)).toBe(true);
  });

  test('has whole seconds in its times, as RFC 6960 wants', async () => {
    const { der } = await answer(requestFor([GOOD]));
    expect(Buffer.from(der).toString('latin1')).not.toMatch(/\d{14}\.\d+Z/);
  });
});

async function pkijsReads(request: Uint8Array): Promise<pkijs.BasicOCSPResponse> {
  const { der } = await answer(request);
  const response = new pkijs.OCSPResponse({ schema: asn1js.fromBER(der).result });
  const bytes = response.responseBytes?.response.valueBlock.valueHexView ?? new Uint8Array();
  return new pkijs.BasicOCSPResponse({ schema: asn1js.fromBER(bytes).result });
}

test('a delegate is replaced when half of its time has passed', async () => {
  const serialOf = async () => {
    const [certificate] = (await pkijsReads(requestFor([GOOD]))).certs ?? [];
    return toHex(new Uint8Array(certificate?.serialNumber.valueBlock.valueHexView ?? []));
  };
  const before = await serialOf();
  expect(await serialOf()).toBe(before);
  now = new Date(Date.now() + 13 * HOUR_MS);
  expect(await serialOf()).not.toBe(before);
  now = new Date();
});

test('a signer that fails once is asked again', async () => {
  const key = createPrivateKey(web.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const signer = fileSigner(web.certificate, key, NAMES);
  const signResponder = vi.fn(signer.signResponder).mockRejectedValueOnce(new Error('the device is busy'));
  const lookup: StatusLookup = async () => new Map();
  const options = { signers: [{ ...signer, signResponder }], lookup, lifetimeMs: 1_000, clock: () => now };
  const once = ocspResponder(options);
  await expect(once(requestFor([GOOD]))).rejects.toThrow('busy');
  expect((await once(requestFor([GOOD]))).outcomes).toEqual(['unknown']);
});

describe('no answer, and no signature, for', () => {
  const NOTHING = { malformedRequest: '30030a0101', unauthorized: '30030a0106' };

  test('what is no request', async () => {
    const answers = await answer(Uint8Array.of(1, 2, 3));
    expect(answers.outcomes).toEqual(['malformedRequest']);
    expect(toHex(answers.der)).toBe(NOTHING.malformedRequest);
  });

  test('a certificate of a CA that is not ours', async () => {
    const validity = { notBefore: new Date(Date.now() - HOUR_MS), notAfter: new Date(Date.now() + HOUR_MS) };
    // The same name, another key.
    const impostor = await createIssuingCa({ ...validity, root, group: 'web' });
    file('impostor.pem', renderPem('CERTIFICATE', impostor.certificate.der));
    const answers = await answer(requestFor([GOOD], 'impostor'));
    expect(answers.outcomes).toEqual(['unauthorized']);
    expect(toHex(answers.der)).toBe(NOTHING.unauthorized);
  });
});
