import { connect, type PeerCertificate } from 'node:tls';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { renderPem } from '../../../../core/x509/pem.ts';
import { freePort } from '../../../../demo/ports.ts';
import { createHttpServer } from '../../../../platform/http/server.ts';
import { spiffeRoles } from '../../../../platform/http/spiffe-listener.ts';
import { pemOf, readIdentity, type X509Identity } from '../../../../platform/spiffe/identity.ts';
import { serverIdentity } from '../../../../platform/spiffe/server-check.ts';
import { SpiffeCa, type SvidOptions, type TestSvid } from '../../../fakes/spiffe-ca.ts';
import { createAuthority, createSelfSigned } from './certificates.ts';
import { NODE_ID, ROUTES, silent } from './toy-server.ts';

const OURS = 'spiffe://a.test/assay';
const ADA = 'spiffe://a.test/ops/ada';
const VIC = 'spiffe://b.test/dashboard';

interface Pem {
  readonly certificate: string;
  readonly key: string;
}

let a: SpiffeCa;
let b: SpiffeCa;
let app: ReturnType<typeof createHttpServer>;
let second: number;
let adminOfServiceCa: Pem;
let node: Pem;
/** What the source says now, and whom it tells of something new. */
let identity: X509Identity;
const listeners: ((identity: X509Identity) => void)[] = [];

function identityFrom({ chain, key }: TestSvid): X509Identity {
  const bundles = new Map([a, b].map((ca) => [ca.trustDomain, [ca.root.certificate]]));
  return readIdentity(Buffer.concat(chain.map(({ der }) => der)), key, bundles);
}

function pem({ chain, key }: TestSvid): Pem {
  const pkcs8 = Buffer.from(key).toString('base64');
  return {
    certificate: pemOf(chain),
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
  };
}

const change = (next: X509Identity) => {
  identity = next;
  for (const listener of listeners) listener(next);
};

beforeAll(async () => {
  [a, b] = await Promise.all([SpiffeCa.create('a.test'), SpiffeCa.create('b.test')]);
  const authority = await createAuthority('service CA');
  const server = await authority.issue('server');
  adminOfServiceCa = await authority.issue('ada', { uris: ['urn:assay:role:admin'] });
  const nodeCertificate = await createSelfSigned('node');
  node = nodeCertificate;
  app = createHttpServer({
    service: 'toy',
    tls: { ...server, clientCa: authority.certificate },
    findNode: async (sha256) => (Buffer.compare(sha256, nodeCertificate.sha256) === 0 ? NODE_ID : undefined),
    logger: silent,
  });
  for (const [path, access] of ROUTES)
    app.get(path, { config: { access } }, async ({ principal }) => principal);
  const source = {
    current: () => identity,
    ready: async () => identity,
    onChange: (listener: (identity: X509Identity) => void) => {
      listeners.push(listener);
      if (identity) listener(identity);
    },
    close: async () => {},
  };
  identity = identityFrom(await a.svid(OURS, { below: await a.below('between') }));
  const roleOf = spiffeRoles({ admin: ['spiffe://a.test/ops/*'], viewer: [VIC] });
  second = await freePort();
  await app.listenAt(
    { host: '127.0.0.1', port: 0 },
    { source, roleOf, listen: { host: '127.0.0.1', port: second } },
  );
});
afterAll(() => app.close());

async function ask(path: string, caller?: Pem, expectedServer = OURS) {
  const { checkServerIdentity } = serverIdentity(expectedServer);
  const dispatcher = new Agent({
    connect: {
      ca: renderPem('CERTIFICATE', a.root.certificate.der),
      ...(caller ? { cert: caller.certificate, key: caller.key } : {}),
      checkServerIdentity: (host: string, certificate: PeerCertificate) =>
        checkServerIdentity(host, certificate),
    },
  });
  try {
    const { statusCode, body } = await request(`https://127.0.0.1:${second}${path}`, { dispatcher });
    return { status: statusCode, body: (await body.json()) as Record<string, unknown> };
  } finally {
    await dispatcher.destroy();
  }
}

/** One request on a connection that goes on with a TLS session, if there is one. */
async function connectAs(
  { certificate: cert, key }: Pem,
  session?: Buffer,
): Promise<{ status: number; session?: Buffer }> {
  const socket = connect({
    ...{ host: '127.0.0.1', port: second, ca: renderPem('CERTIFICATE', a.root.certificate.der), cert, key },
    ...(session ? { session } : {}),
    checkServerIdentity: () => undefined,
  });
  let given: Buffer | undefined;
  socket.on('session', (next) => {
    given = next;
  });
  socket.end('GET /admin HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  const answer = Buffer.concat(await Array.fromAsync<Buffer>(socket)).toString();
  return { status: Number(answer.split(' ')[1]), ...(given ? { session: given } : {}) };
}

const svid = async (ca: SpiffeCa, id: string, options: SvidOptions = {}) => pem(await ca.svid(id, options));

describe('with SVIDs at both ends', () => {
  test('an ID that is an administrator is one, by its own name', async () => {
    const answer = await ask('/admin', await svid(a, ADA));
    expect(answer).toEqual({ status: 200, body: { kind: 'admin', name: ADA } });
  });

  test('an SVID that came with its intermediate is as good', async () => {
    const answer = await ask('/admin', await svid(a, ADA, { below: await a.below('between') }));
    expect(answer.status).toBe(200);
  });

  test('and so it is on the next connection, to which TLS would carry the leaf alone', async () => {
    const caller = await svid(a, ADA, { below: await a.below('between') });
    const first = await connectAs(caller);
    const second = await connectAs(caller, first.session);
    expect([first.status, second.status]).toEqual([200, 200]);
  });

  test('an ID of a federated trust domain has the role it was given and no other', async () => {
    const vic = await svid(b, VIC);
    expect(await ask('/people', vic)).toEqual({ status: 200, body: { kind: 'viewer', name: VIC } });
    expect((await ask('/admin', vic)).status).toBe(403);
  });

  test('the server shows its SVID, and the next one after it has changed', async () => {
    await expect(ask('/public', undefined, 'spiffe://a.test/other')).rejects.toThrow(
      /shows spiffe:\/\/a\.test\/assay/,
    );
    change(identityFrom(await a.svid('spiffe://a.test/other')));
    expect((await ask('/public', undefined, 'spiffe://a.test/other')).status).toBe(200);
    change(identityFrom(await a.svid(OURS)));
  });
});

describe('api.svid: a stranger is', () => {
  test('whoever shows no certificate', async () => {
    expect((await ask('/public')).status).toBe(200);
    expect((await ask('/admin')).status).toBe(401);
  });

  test('an ID without a role', async () => {
    expect((await ask('/people', await svid(a, 'spiffe://a.test/somebody'))).status).toBe(401);
  });

  test("an administrator's ID from another trust domain's CA", async () => {
    expect((await ask('/people', await svid(b, ADA))).status).toBe(401);
  });

  test("an administrator's ID beside another URI", async () => {
    expect((await ask('/people', await svid(a, ADA, { uris: [ADA, 'urn:x'] }))).status).toBe(401);
  });

  test('an administrator of the service CA, who is one at the other address', async () => {
    expect((await ask('/people', adminOfServiceCa)).status).toBe(401);
  });

  test('an SVID whose URI is a role of the service CA', async () => {
    expect((await ask('/people', await svid(a, ADA, { uris: ['urn:assay:role:admin'] }))).status).toBe(401);
  });

  test('a node', async () => {
    expect((await ask('/node', node)).status).toBe(401);
  });
});

test('an SVID that expires on an open connection is nobody from then on', async () => {
  const short = await svid(a, ADA, { lifetimeMs: 2_000 });
  const dispatcher = new Agent({
    connections: 1,
    connect: {
      ca: renderPem('CERTIFICATE', a.root.certificate.der),
      ...{ cert: short.certificate, key: short.key },
      checkServerIdentity: () => undefined,
    },
  });
  const status = async () => {
    const { statusCode, body } = await request(`https://127.0.0.1:${second}/admin`, { dispatcher });
    await body.dump();
    return statusCode;
  };
  expect(await status()).toBe(200);
  await vi.waitFor(async () => expect(await status()).toBe(401), { timeout: 5_000, interval: 200 });
  await dispatcher.destroy();
});
