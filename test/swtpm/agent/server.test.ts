import { createHash, hash, randomBytes, type X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { openNodeTpm } from '../../../agent/node-tpm.ts';
import type { NodeTpm } from '../../../agent/node-tpm-port.ts';
import { type AgentServer, startAgentServer } from '../../../agent/server.ts';
import { StateStore } from '../../../agent/state-store.ts';
import { loadTlsIdentity, type TlsIdentity } from '../../../agent/tls-identity.ts';
import { parseEvidence } from '../../../core/messages/evidence.ts';
import { parsePcrBlob } from '../../../core/messages/keylime/pcr-blob.ts';
import { parseQuoteString } from '../../../core/messages/keylime/quote-string.ts';
import { parseTpm2bPublic } from '../../../core/tpm/public.ts';
import { appraiseQuote, type QuoteAppraisal } from '../../../core/tpm/quote.ts';
import { createSelfSignedTlsCertificate } from '../../../platform/pki/self-signed.ts';
import { identityOf, type PemIdentity, type TestPki, testPki } from '../../fakes/pki.ts';
import { type LabTpm, TpmLab } from '../support/tpm-lab.ts';

let lab: TpmLab;
let pki: TestPki;
let verifier: PemIdentity;
let folder: string;
let lt: LabTpm;
let tpm: NodeTpm;
let tls: TlsIdentity;
let server: AgentServer;
let agent: Agent;
/** A firmware log, and a measurement list that is longer than what is read at once. */
const BOOT = Buffer.from([0, 1, 2, 255]);
const LIST = randomBytes(1_000_000);
const revocations: unknown[] = [];
const faults: unknown[] = [];

beforeAll(async () => {
  lab = await TpmLab.open(['sha256']);
  pki = await testPki();
  verifier = await pki.client('urn:assay:service:verifier');
});
afterAll(() => lab.close());

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keylime-'));
  lt = await lab.start();
  await lt.tpm.close();
  const state = await StateStore.open(join(folder, 'state'));
  tls = await loadTlsIdentity(state, 'node-1', new Date());
  await open('rsa2048', state);
  await writeFile(join(folder, 'ima'), 'one\ntwo\nthree\nfour is not whole');
  await writeFile(join(folder, 'boot'), BOOT);
  await writeFile(join(folder, 'ima-binary'), LIST);
  revocations.length = 0;
  faults.length = 0;
  agent = new Agent({ keepAlive: true, maxSockets: 8 });
});

afterEach(async () => {
  agent.destroy();
  await server.close();
  await tpm.close();
  await lab.stopAll();
  await rm(folder, { recursive: true, force: true });
});

async function open(attestationKey: 'rsa2048' | 'ecc256', state: StateStore): Promise<void> {
  tpm = await openNodeTpm({ tpm: lt.swtpm.address, endorsementKey: 'auto', attestationKey, state });
  server = await startAgentServer({
    ...{ host: '127.0.0.1', port: 0, tls, clientCa: pki.serviceCa.pem, bank: 'sha256' },
    identity: () => ({ alias: 'node-1', nodeId: 'c374b038-ef4d-828f-8ae1-5f152ffebe35' }),
    quoteSource: () => tpm,
    publicKeyPem: tls.publicKey,
    logs: {
      ...{ boot: join(folder, 'boot'), userspace: join(folder, 'userspace') },
      ...{ ima: join(folder, 'ima'), imaBinary: join(folder, 'ima-binary') },
    },
    onRevocation: async (message) => {
      revocations.push(message);
    },
    onQuote: () => {},
    onFault: (error) => faults.push(error),
  });
}

/** GET of our own route. */
function evidence(query: string): Promise<{ readonly status: number; readonly body: Buffer }> {
  return new Promise((done, failed) => {
    const sent = request(
      {
        ...{ host: '127.0.0.1', port: server.port, agent, rejectUnauthorized: false },
        ...{ path: `/v1/evidence?${query}`, cert: verifier.certificate, key: verifier.key },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', failed);
        response.on('end', () => done({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
      },
    );
    sent.once('error', failed);
    sent.end();
  });
}

interface Answer {
  readonly status: number;
  readonly body: {
    readonly code: number;
    readonly status: string;
    readonly results: Record<string, unknown>;
  };
  readonly certificate: X509Certificate | undefined;
}

function call(
  path: string,
  options: { identity?: PemIdentity | undefined; body?: string } = {},
): Promise<Answer> {
  const identity = 'identity' in options ? options.identity : verifier;
  return new Promise((done, failed) => {
    const sent = request(
      {
        ...{ host: '127.0.0.1', port: server.port, path, agent, rejectUnauthorized: false },
        ...{ cert: identity?.certificate, key: identity?.key },
        method: options.body === undefined ? 'GET' : 'POST',
      },
      async (response) => {
        const socket = response.socket as import('node:tls').TLSSocket;
        const certificate = socket.getPeerX509Certificate();
        try {
          const chunks: Buffer[] = [];
          for await (const chunk of response) chunks.push(chunk);
          const body = JSON.parse(Buffer.concat(chunks).toString());
          done({ status: response.statusCode ?? 0, body, certificate });
        } catch (error) {
          failed(error);
        }
      },
    );
    sent.once('error', failed);
    sent.end(options.body);
  });
}

function appraise({ body }: Answer, nonce: string, pcrs: readonly number[]): QuoteAppraisal {
  return appraiseText(String(body.results.quote), nonce, pcrs);
}

function appraiseText(quote: string, nonce: string, pcrs: readonly number[]): QuoteAppraisal {
  const { attest, signature, pcrBlob } = parseQuoteString(quote);
  return appraiseQuote({
    ...{ attest, signature, akPublic: parseTpm2bPublic(tpm.ak.public) },
    pcrValues: parsePcrBlob(pcrBlob).values,
    nonce: Buffer.from(nonce),
    selection: { bank: 'sha256', pcrs },
  });
}

const nonceOf = () => randomBytes(32).toString('hex');

test('quote.channel: a quote verifies, and PCR 16 binds the key of the connection', async () => {
  const nonce = nonceOf();
  const answer = await call(`/v2.6/quotes/integrity?nonce=${nonce}&mask=0x3ff&partial=0`);
  expect(answer.status).toBe(200);
  const appraisal = appraise(answer, nonce, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16]);
  if (!appraisal.ok) throw new Error(JSON.stringify(appraisal.findings));
  const pem = String(answer.body.results.pubkey);
  const bound = createHash('sha256')
    .update(Buffer.alloc(32))
    .update(hash('sha256', pem, 'buffer'))
    .digest();
  expect(Buffer.from(appraisal.quote.pcrs.get(16) ?? [])).toEqual(bound);
  expect(answer.certificate?.publicKey.export({ type: 'spki', format: 'pem' })).toBe(pem);
});

test('the answer has the members of a stock agent, in its order', async () => {
  const { body } = await call(
    `/v2.6/quotes/integrity?nonce=${nonceOf()}&mask=0x408401&partial=0&ima_ml_entry=0`,
  );
  expect(Object.keys(body)).toEqual(['code', 'status', 'results']);
  expect(Object.keys(body.results)).toEqual([
    ...['quote', 'hash_alg', 'enc_alg', 'sign_alg', 'pubkey'],
    ...['ima_measurement_list', 'ima_measurement_list_entry', 'mb_measurement_list'],
  ]);
  expect(body.results).toMatchObject({
    ...{ hash_alg: 'sha256', enc_alg: 'rsa2048', sign_alg: 'rsassa', mb_measurement_list: 'AAEC/w==' },
    ...{ ima_measurement_list: 'one\ntwo\nthree\n', ima_measurement_list_entry: 0 },
  });
});

test.each([
  [2, 'three\n', 2],
  [3, '', 3],
  [4, 'one\ntwo\nthree\n', 0],
] as const)('the IMA list from entry %i', async (entry, text, first) => {
  const { body } = await call(
    `/v2.6/quotes/integrity?nonce=${nonceOf()}&mask=0x400&partial=1&ima_ml_entry=${entry}`,
  );
  expect(body.results).toMatchObject({ ima_measurement_list: text, ima_measurement_list_entry: first });
  expect(body.results).not.toHaveProperty('mb_measurement_list');
  expect(body.results).not.toHaveProperty('pubkey');
});

test('identity quote: PCR 16 alone, with the key, and the algorithm as API 2.4 names it', async () => {
  const nonce = nonceOf();
  const answer = await call(`/v2.4/quotes/identity?nonce=${nonce}`);
  expect(appraise(answer, nonce, [16]).ok).toBe(true);
  expect(answer.body.results).toMatchObject({ enc_alg: 'rsa', pubkey: tls.publicKey });
});

test('an ECC attestation key quotes as well', async () => {
  await server.close();
  await tpm.close();
  await open('ecc256', await StateStore.open(join(folder, 'state')));
  const nonce = nonceOf();
  const answer = await call(`/v2.6/quotes/integrity?nonce=${nonce}&mask=0x1&partial=1`);
  expect(appraise(answer, nonce, [0, 16]).ok).toBe(true);
  expect(answer.body.results).toMatchObject({ enc_alg: 'ecc256', sign_alg: 'ecdsa' });
});

test('quotes asked for at once come one after the other, each with its own nonce', async () => {
  const nonces = Array.from({ length: 12 }, nonceOf);
  const answers = await Promise.all(
    nonces.map((nonce) => call(`/v2.6/quotes/integrity?nonce=${nonce}&mask=0xff&partial=1`)),
  );
  const good = answers.map((answer, i) => appraise(answer, nonces[i] ?? '', [0, 1, 2, 3, 4, 5, 6, 7, 16]).ok);
  expect(good).toEqual(nonces.map(() => true));
});

test('a reset of the TPM between two quotes: the binding is made again', async () => {
  await call(`/v2.6/quotes/identity?nonce=${nonceOf()}`);
  await lt.swtpm.reset();
  const nonce = nonceOf();
  const answer = await call(`/v2.6/quotes/integrity?nonce=${nonce}&mask=0x1&partial=0`);
  const appraisal = appraise(answer, nonce, [0, 16]);
  if (!appraisal.ok) throw new Error(JSON.stringify(appraisal.findings));
  expect(appraisal.quote.pcrs.get(16)?.some((byte) => byte !== 0)).toBe(true);
});

test('evidence: a quote and the logs that are asked for, as the kernel has them', async () => {
  const nonce = nonceOf();
  const { status, body } = await evidence(`nonce=${nonce}&mask=0x3&boot=all&userspace=all&ima=0.0`);
  expect(status).toBe(200);
  const parts = parseEvidence(body);
  expect(appraiseText(parts.quote, nonce, [0, 1, 16]).ok).toBe(true);
  expect(parts).toMatchObject({ firmware: BOOT, userspace: undefined, ima: { entry: 0, offset: 0 } });
  expect(Buffer.compare(parts.ima?.bytes ?? Buffer.of(), LIST)).toBe(0);
  const bare = parseEvidence((await evidence(`nonce=${nonce}&mask=0x3`)).body);
  expect(bare).toMatchObject({ firmware: undefined, userspace: undefined, ima: undefined });
});

test('evidence: a log that is known is not sent again, and a list goes on where it was', async () => {
  const known = hash('sha256', BOOT);
  const parts = parseEvidence((await evidence(`nonce=N&mask=0x3&boot=${known}&ima=7.999990`)).body);
  expect(parts).toMatchObject({ firmware: 'same', ima: { entry: 7, offset: 999_990 } });
  expect(parts.ima?.bytes).toEqual(LIST.subarray(-10));
  await writeFile(join(folder, 'boot'), 'another');
  const other = parseEvidence((await evidence(`nonce=N&mask=0x3&boot=${known}`)).body);
  expect(other.firmware).toEqual(Buffer.from('another'));
});

test('evidence: a list that began anew is sent from its beginning', async () => {
  const parts = parseEvidence((await evidence('nonce=N&mask=0x3&ima=9.1000001')).body);
  expect(parts.ima).toMatchObject({ entry: 0, offset: 0 });
  const end = parseEvidence((await evidence('nonce=N&mask=0x3&ima=9.1000000')).body);
  expect(end.ima).toEqual({ entry: 9, offset: 1_000_000, bytes: Buffer.of() });
});

test.each(['mask=0x3', 'nonce=N', 'nonce=N&mask=0x3&ima=1', 'nonce=%00&mask=0x3'])(
  'evidence: a request for %s is refused',
  async (query) => {
    expect((await evidence(query)).status).toBe(400);
    expect(faults).toEqual([]);
  },
);

test('api.deny: no certificate, no handshake', async () => {
  await expect(call('/version', { identity: undefined })).rejects.toThrow(
    /certificate required|ECONNRESET|socket hang up/i,
  );
});

test('api.deny: a node certificate does not get past the handshake', async () => {
  const node = await createSelfSignedTlsCertificate({
    ...{ commonName: 'node-2', dnsNames: ['node-2'], ipAddresses: [] },
    ...{ notBefore: new Date(Date.now() - 1000), notAfter: new Date(Date.now() + 60_000) },
  });
  await expect(call('/version', { identity: identityOf(node) })).rejects.toThrow(
    /unknown ca|ECONNRESET|alert|hang up/i,
  );
});

test.each(['urn:assay:role:admin', 'urn:assay:service:issuer'])(
  'api.deny: %s is not the verifier',
  async (role) => {
    const answer = await call(`/v2.6/quotes/identity?nonce=${nonceOf()}`, {
      identity: await pki.client(role),
    });
    expect(answer.status).toBe(403);
    expect(answer.body).toMatchObject({ code: 403, results: {} });
  },
);

test('a revocation over the connection arrives, and is answered as Keylime does', async () => {
  const msg = JSON.stringify({
    type: 'revocation',
    agent_id: 'node-1',
    reasons: [{ rule: 'pcr.7', message: 'x', pcr: 7 }],
  });
  const answer = await call('/v2.6/notifications/revocation', {
    body: JSON.stringify({ msg, signature: '' }),
  });
  expect(answer.body).toEqual({ code: 200, status: 'Success', results: null });
  expect(revocations).toMatchObject([{ agent_id: 'node-1', reasons: [{ pcr: 7 }] }]);
});

test('api.limits: a body over the limit is refused', async () => {
  const answer = call('/v2.6/notifications/revocation', { body: 'x'.repeat(300_000) });
  // Whether the answer or the closed connection is seen first is up to the network.
  await expect(
    answer.then(
      ({ status }) => status,
      () => 413,
    ),
  ).resolves.toBe(413);
  expect(revocations).toEqual([]);
});

test('a TPM that is gone is an error in the envelope, and a fault for the log', async () => {
  await lt.swtpm.stop();
  const answer = await call(`/v2.6/quotes/identity?nonce=${nonceOf()}`);
  expect(answer.body).toMatchObject({ code: 500, results: {} });
  expect(faults).toHaveLength(1);
});

test('it ends although somebody is in the middle of a handshake: nobody keeps it up', async () => {
  const socket = connect(server.port, '127.0.0.1');
  await once(socket, 'connect');
  const ended = once(socket, 'close');
  // It has taken the connection when it answers another one.
  await call('/version');
  await server.close();
  await ended;
}, 5000);
