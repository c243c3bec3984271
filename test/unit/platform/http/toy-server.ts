import type { PeerCertificate } from 'node:tls';
import Type from 'typebox';
import { Agent, request as send } from 'undici';
import type { Access } from '../../../../platform/http/principal.ts';
import { type App, createHttpServer, type HttpServerOptions } from '../../../../platform/http/server.ts';
import { createLogger } from '../../../../platform/logging.ts';
import { type Authority, createAuthority, type Identity } from './certificates.ts';

export const NODE_ID = '11111111-1111-8111-8111-111111111111';
export const silent = createLogger({ level: 'silent', name: 'test' });

export interface ToyServer {
  readonly app: App;
  readonly authority: Authority;
  /** Certificates of registered nodes; tests may change it. */
  readonly nodes: Map<string, string>;
  readonly port: number;
}

const closed = { additionalProperties: false } as const;

export const ROUTES: readonly (readonly [path: string, access: readonly [Access, ...Access[]]])[] = [
  ['/public', ['public']],
  ['/node', ['node']],
  ['/admin', ['admin']],
  ['/people', ['admin', 'viewer']],
  ['/verifier', ['service:verifier']],
  ['/mixed', ['admin', 'node', 'service:issuer']],
];

export async function startToyServer(options: Partial<HttpServerOptions> = {}): Promise<ToyServer> {
  const authority = await createAuthority('service CA');
  const server = await authority.issue('server', { uris: ['urn:assay:service:registrar'] });
  const nodes = new Map<string, string>();
  const app = createHttpServer({
    service: 'toy',
    tls: { ...server, clientCa: authority.certificate },
    findNode: async (sha256) => nodes.get(Buffer.from(sha256).toString('hex')),
    logger: silent,
    ...options,
  });
  for (const [path, access] of ROUTES)
    app.get(path, { config: { access } }, async ({ principal }) => principal);
  app.post(
    '/echo',
    {
      config: { access: ['public'] },
      bodyLimit: 1024,
      schema: { body: Type.Object({ text: Type.String(), count: Type.Optional(Type.Integer()) }, closed) },
    },
    async ({ body }) => body,
  );
  app.post('/admin/echo', { config: { access: ['admin'] } }, async ({ body }) => body);
  await app.listen({ host: '127.0.0.1', port: 0 });
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return { app, authority, nodes, port: address.port };
}

export interface Answer {
  readonly status: number;
  readonly type: string;
  /** The JSON value, or the text of any other type. */
  readonly body: unknown;
}

/** One request on a connection of its own, as whoever `identity` is. */
export async function ask(
  toy: ToyServer,
  path: string,
  options: { identity?: Identity; method?: 'GET' | 'POST'; body?: string | Buffer; type?: string } = {},
): Promise<Answer> {
  const agent = agentFor(toy, options.identity);
  try {
    const response = await send(`https://127.0.0.1:${toy.port}${path}`, {
      dispatcher: agent,
      method: options.method ?? 'GET',
      body: options.body ?? null,
      ...(options.body === undefined
        ? {}
        : { headers: { 'content-type': options.type ?? 'application/json' } }),
    });
    const text = await response.body.text();
    const type = String(response.headers['content-type']);
    return { status: response.statusCode, type, body: type.includes('json') ? JSON.parse(text) : text };
  } finally {
    await agent.destroy();
  }
}

export function agentFor(toy: ToyServer, identity?: Identity): Agent {
  return new Agent({
    connections: 1,
    connect: {
      ca: toy.authority.certificate,
      ...(identity ? { cert: identity.certificate, key: identity.key } : {}),
      checkServerIdentity: (_host: string, _certificate: PeerCertificate) => undefined,
    },
  });
}
