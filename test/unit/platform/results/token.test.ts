import { randomBytes } from 'node:crypto';
import { decodeProtectedHeader } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import type { EarClaims } from '../../../../core/messages/result.ts';
import { earClaims } from '../../../../core/result/ear.ts';
import type { KeyedCertificate } from '../../../../platform/pki/certify.ts';
import {
  createServiceCa,
  issueClientCertificate,
  issueSigningCertificate,
} from '../../../../platform/pki/service-ca.ts';
import { RESULTS_URI, type ResultSigner } from '../../../../platform/results/signer.ts';
import { signResult, verifyResult } from '../../../../platform/results/token.ts';

const VALIDITY = { notBefore: new Date('2026-01-01'), notAfter: new Date('2027-01-01') };
const AT = new Date('2026-11-24T08:00:00Z');
const NONCE = Buffer.from('0123456789').toString('base64url');
const CLAIMS: EarClaims = earClaims(
  {
    state: 'trusted',
    outcome: 'pass',
    judged: { boot: true, files: true },
    ekCertified: true,
    channelBound: true,
    node: { id: '01234567-89ab-8def-8123-456789abcdef', name: 'web-1', group: 'web' },
    epoch: 0,
    reasons: [],
    judgedAt: AT,
    trustedUntil: new Date(AT.getTime() + 300_000),
    policy: null,
  },
  { at: AT, build: 'test', nonce: NONCE },
);

let ca: KeyedCertificate;
let signer: ResultSigner;
let token: string;

const signerOf = ({ privateKey, certificate }: KeyedCertificate): ResultSigner => ({
  privateKey,
  chain: [certificate],
});
const results = (issuer: KeyedCertificate, changes: object = {}) =>
  issueSigningCertificate({
    ...{ ca: issuer, commonName: 'results', roleUri: RESULTS_URI, serial: randomBytes(8).fill(1, 0, 1) },
    ...VALIDITY,
    ...changes,
  });
const check = (text: string, changes: object = {}) =>
  verifyResult(text, { anchors: [ca.certificate], at: AT, ...changes });
const problem = async (text: string, changes: object = {}) => {
  const checked = await check(text, changes);
  return checked.ok ? 'ok' : checked.problem;
};

beforeAll(async () => {
  ca = await createServiceCa({ commonName: 'Service CA', ...VALIDITY });
  signer = signerOf(await results(ca));
  token = await signResult(CLAIMS, signer);
});

describe('a result', () => {
  test('is a JWT that its reader checks with the service CA alone', async () => {
    expect(await check(token, { nonce: NONCE })).toEqual({ ok: true, claims: CLAIMS, signer: 'CN=results' });
    expect(await check(`\n${token}\n`)).toMatchObject({ ok: true });
    expect(decodeProtectedHeader(token)).toMatchObject({ alg: 'ES256', typ: 'eat+jwt' });
  });

  test('result.signature: one changed bit anywhere in what is signed, or in the signature', async () => {
    const [header = '', payload = '', signature = ''] = token.split('.');
    const other = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const forged = Buffer.from(JSON.stringify({ ...other, exp: other.exp + 9999 })).toString('base64url');
    const flipped = Buffer.from(signature, 'base64url');
    flipped[10] = (flipped[10] ?? 0) ^ 1;
    for (const text of [
      `${header}.${forged}.${signature}`,
      `${header}.${payload}.${flipped.toString('base64url')}`,
    ]) {
      expect(await problem(text)).toContain('signature is not by the key of CN=results');
    }
  });

  test('result.signer: another CA, an old certificate, one for TLS, one with another name', async () => {
    const stranger = await createServiceCa({ commonName: 'Service CA', ...VALIDITY });
    expect(await problem(await signResult(CLAIMS, signerOf(await results(stranger))))).toContain(
      'is not vouched for',
    );
    const old = await results(ca, { notAfter: new Date('2026-11-01') });
    expect(await problem(await signResult(CLAIMS, signerOf(old)))).toContain('is not vouched for');
    const tls = await issueClientCertificate({ ca, commonName: 'tls', roleUri: RESULTS_URI, ...VALIDITY });
    expect(await problem(await signResult(CLAIMS, signerOf(tls)))).toContain('is not vouched for');
    const admin = await results(ca, { roleUri: 'urn:assay:role:admin' });
    expect(await problem(await signResult(CLAIMS, signerOf(admin)))).toContain(`is not named ${RESULTS_URI}`);
  });

  test('result.algorithm: none, and HMAC with the public key, are refused before anything else', async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const x5c = decodeProtectedHeader(token).x5c;
    for (const alg of ['none', 'HS256', 'RS256', undefined]) {
      const text = `${part({ alg, x5c })}.${token.split('.')[1]}.AAAA`;
      expect(await problem(text)).toContain('ES256 is expected');
    }
    expect(await problem(`${part({ alg: 'ES256' })}.${token.split('.')[1]}.AAAA`)).toContain('x5c');
  });

  test('result.time: ended, or not made yet; a minute of difference between clocks is let be', async () => {
    const later = (seconds: number) => ({ at: new Date(AT.getTime() + seconds * 1000) });
    expect(await problem(token, later(359))).toBe('ok');
    expect(await problem(token, later(360))).toContain('it ended at 2026-11-24T08:05:00.000Z');
    expect(await problem(token, later(-60))).toBe('ok');
    expect(await problem(token, later(-61))).toContain('is still to come');
  });

  test('result.nonce: an answer to somebody else, and one without a nonce', async () => {
    expect(await problem(token, { nonce: 'AAAAAAAAAAA=' })).toContain('not AAAAAAAAAAA=');
    const { eat_nonce: _, ...plain } = CLAIMS;
    expect(await problem(await signResult(plain, signer), { nonce: NONCE })).toContain('without a nonce');
  });

  test('text that is no result says what one is', async () => {
    for (const text of ['', 'hello', '{"a":1}', 'a.b.c', `${token}x`.repeat(400)]) {
      await expect(check(text)).rejects.toMatchObject({ code: 'malformed' });
    }
    // Signed, and of another kind.
    const other = await signResult(Object.assign({}, CLAIMS, { eat_profile: 'other' }), signer);
    await expect(check(other)).rejects.toMatchObject({ code: 'malformed' });
  });
});
