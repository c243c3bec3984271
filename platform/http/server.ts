import { randomUUID } from 'node:crypto';
import type { Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import rateLimit from '@fastify/rate-limit';
import { type TypeBoxTypeProvider, TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox';
import {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyRequest,
  fastify,
  type RouteOptions,
} from 'fastify';
import { AssayError } from '../../core/errors.ts';
import type { Logger } from '../logging.ts';
import { type Access, mayAccess, type NodeLookup, type Principal, principalOf } from './principal.ts';
import { sendProblem } from './problem.ts';

const BODY_LIMIT = 1024 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_MS = 75_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_CONNECTIONS = 20_000;
const PUBLIC_REQUESTS_PER_MINUTE = 600;

export interface TlsMaterial {
  /** PEM: the server's certificate, then the service CA's, so that a node can pin it in the handshake. */
  readonly certificate: string;
  readonly key: string;
  /** PEM of the CA whose certificates carry roles. */
  readonly clientCa: string;
}

export interface HttpServerOptions {
  readonly service: string;
  /** Absent: plain HTTP, where everybody is anonymous (Keylime's registration port). */
  readonly tls?: TlsMaterial;
  readonly findNode?: NodeLookup;
  readonly logger: Logger;
  readonly publicRequestsPerMinute?: number;
}

export type HttpServer = FastifyInstance<Server, never, never, FastifyBaseLogger, TypeBoxTypeProvider>;
export type App = ReturnType<typeof createHttpServer>;

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks. Set before a route's code runs. */
    principal: Principal;
  }
  interface FastifyContextConfig {
    /** Who may ask; a route without it does not start (rule `api.deny`). */
    access?: readonly Access[];
  }
}

/**
 * An HTTP server that refuses by default: each route says in `config.access` who may ask, before its body is read.
 * TLS 1.3 with optional client certificates; problem+json errors; limits on everything a client can stretch.
 */
export function createHttpServer(options: HttpServerOptions) {
  const app = fastify({
    ...(options.tls ? { https: httpsOptions(options.tls) } : { https: null }),
    loggerInstance: options.logger as FastifyBaseLogger,
    disableRequestLogging: true,
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionTimeout: 0,
    forceCloseConnections: true,
    genReqId: () => randomUUID(),
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.setValidatorCompiler(TypeBoxValidatorCompiler);
  app.server.maxConnections = MAX_CONNECTIONS;
  app.decorateRequest('principal', { getter: () => anonymous });
  app.addHook('onRoute', refuseOpenRoute);
  app.addHook('onRequest', async (request) => authorise(request, options.findNode));
  app.setErrorHandler(sendProblem);
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      new AssayError('not-found', `there is no ${request.method} ${request.url.split('?')[0]}`),
      request,
      reply,
    ),
  );
  void app.register(rateLimit, {
    global: true,
    max: options.publicRequestsPerMinute ?? PUBLIC_REQUESTS_PER_MINUTE,
    timeWindow: 60_000,
    // Known callers are not counted: nobody can use up somebody else's share.
    allowList: (request: FastifyRequest) => request.principal.kind !== 'anonymous',
    keyGenerator: (request: FastifyRequest) => request.ip,
    errorResponseBuilder: () =>
      new AssayError('rate-limited', 'too many requests from this address; try again in a minute'),
  });
  return app;
}

const anonymous: Principal = { kind: 'anonymous' };

function httpsOptions(tls: TlsMaterial) {
  return {
    cert: tls.certificate,
    key: tls.key,
    ca: tls.clientCa,
    requestCert: true,
    // Nodes show self-signed certificates; who they are is decided by principalOf.
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3' as const,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: HANDSHAKE_TIMEOUT_MS,
  };
}

// A mistake here must not wait for a request: the service does not start.
function refuseOpenRoute(route: RouteOptions): void {
  if (route.config?.access === undefined || route.config.access.length === 0) {
    throw new Error(`route ${String(route.method)} ${route.url} does not say who may ask (config.access)`);
  }
}

const known = new WeakMap<object, Promise<Principal>>();

async function authorise(request: FastifyRequest, findNode: NodeLookup | undefined): Promise<void> {
  const principal = await identify(request, findNode);
  Object.defineProperty(request, 'principal', { value: principal });
  const access = request.routeOptions.config.access;
  // No access: the handler for unknown routes, which has nothing to give away.
  if (access === undefined || mayAccess(principal, access)) return;
  if (principal.kind === 'anonymous') {
    throw new AssayError('unauthenticated', 'this needs a client certificate that is known here');
  }
  throw new AssayError(
    'forbidden',
    `this needs ${access.join(' or ')}; the certificate shown is of a ${principal.kind}`,
  );
}

// A service's or person's certificate says the same on every request of a connection. A node's record can change.
function identify(request: FastifyRequest, findNode: NodeLookup | undefined): Promise<Principal> {
  const socket = request.raw.socket;
  if (!('getPeerX509Certificate' in socket)) return Promise.resolve(anonymous);
  const tls = socket as TLSSocket;
  if (!tls.authorized) return principalOf(tls, findNode);
  const found = known.get(tls) ?? principalOf(tls, findNode);
  known.set(tls, found);
  return found;
}
