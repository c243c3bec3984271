import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:net';
import rateLimit from '@fastify/rate-limit';
import { type TypeBoxTypeProvider, TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox';
import {
  type FastifyBaseLogger,
  type FastifyRequest,
  fastify,
  LogController,
  type RouteOptions,
} from 'fastify';
import { AssayError } from '../../core/errors.ts';
import type { Logger } from '../logging.ts';
import { clientNetwork, limitConnections } from './limits.ts';
import type { DescribedErrors } from './openapi-responses.ts';
import {
  type Access,
  ANONYMOUS,
  Identifier,
  type KnownPrincipal,
  mayAccess,
  type NodeLookup,
  type Principal,
} from './principal.ts';
import { sendProblem } from './problem.ts';
import { createSpiffeServer, type SpiffeAccess } from './spiffe-listener.ts';
import { closeStreamsOf } from './sse.ts';

const BODY_LIMIT = 1024 * 1024;
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_PARAMETER_CHARACTERS = 1024;
const PUBLIC_REQUESTS_PER_MINUTE = 600;
const MAX_CONNECTIONS = 20_000;
const MAX_CONNECTIONS_PER_NETWORK = 2000;
const MAX_REQUESTS_PER_CONNECTION = 100_000;
const TIMEOUTS = { handshakeMs: 10_000, headersMs: 10_000, requestMs: 30_000, idleMs: 75_000 };

interface Address {
  readonly host: string;
  readonly port: number;
}

export interface TlsMaterial {
  /** PEM: the server's certificate, then the service CA's, so that a node can pin it in the handshake. */
  readonly certificate: string;
  readonly key: string;
  /** PEM of the CA whose certificates carry roles. */
  readonly clientCa: string;
}

export interface HttpTimeouts {
  readonly handshakeMs: number;
  /** Until all headers came. */
  readonly headersMs: number;
  /** Until the whole request came; at shutdown, until the answers under way are out. */
  readonly requestMs: number;
  /** Between two requests on one connection. */
  readonly idleMs: number;
}

export interface HttpServerOptions {
  /** Name in metrics. */
  readonly service: string;
  /** Absent: plain HTTP, where everybody is anonymous (Keylime's registration port). */
  readonly tls?: TlsMaterial;
  readonly findNode?: NodeLookup;
  readonly logger: Logger;
  readonly publicRequestsPerMinute?: number;
  readonly connectionsPerNetwork?: number;
  readonly timeouts?: Partial<HttpTimeouts>;
}

export type App = ReturnType<typeof createHttpServer>;

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks. Set before a route's code runs. */
    principal: Principal;
  }
  interface FastifyContextConfig extends DescribedErrors {
    /** Who may ask; a route without it does not start (rule `api.deny`). */
    access?: readonly Access[];
  }
  interface FastifyInstance {
    readonly service: string;
    /** Opens the server at an address, and beside it the way in for callers with X509-SVIDs. @returns its URL */
    readonly listenAt: (address: Address, spiffe?: SpiffeAccess) => Promise<string>;
  }
}

/**
 * An HTTP server that refuses by default: each route says in `config.access` who may ask, before its body is read.
 * TLS 1.3 with optional client certificates; problem+json errors, unless a route or a scope sets an `errorHandler`
 * of its own; limits on everything a client can stretch.
 *
 * Nothing is coerced: query strings are declared as strings with a pattern, and the route converts them.
 */
export function createHttpServer(options: HttpServerOptions) {
  const timeouts = { ...TIMEOUTS, ...options.timeouts };
  const app = fastify({
    ...transport(options.tls, timeouts),
    loggerInstance: options.logger as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT,
    requestTimeout: timeouts.requestMs,
    keepAliveTimeout: timeouts.idleMs,
    maxRequestsPerSocket: MAX_REQUESTS_PER_CONNECTION,
    forceCloseConnections: 'idle',
    genReqId: () => randomUUID(),
    // An OCSP request in a URL; each route bounds its own parameters.
    routerOptions: { maxParamLength: MAX_PARAMETER_CHARACTERS },
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.setValidatorCompiler(TypeBoxValidatorCompiler);
  const perNetwork = options.connectionsPerNetwork ?? MAX_CONNECTIONS_PER_NETWORK;
  limitServer(app.server, perNetwork);
  app.decorate('service', options.service);
  app.decorateRequest('principal', { getter: () => ANONYMOUS });
  app.addHook('onRoute', refuseOpenRoute);
  app.setErrorHandler(sendProblem);
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      new AssayError('not-found', `there is no ${request.method} ${request.url.split('?')[0]}`),
      request,
      reply,
    ),
  );
  void app.register(rateLimit, {
    global: false,
    max: options.publicRequestsPerMinute ?? PUBLIC_REQUESTS_PER_MINUTE,
    timeWindow: 60_000,
    keyGenerator: (request: FastifyRequest) => clientNetwork(request.ip),
  });
  const identifier = new Identifier(options.findNode);
  let limit: RateLimit = async () => {};
  void app.after(() => {
    limit = countStrangers(app.createRateLimit());
  });
  app.addHook('onRequest', (request) => authorise(request, identifier, (one) => limit(one)));
  closeInTime(app.server, app, timeouts.requestMs);
  app.decorate('listenAt', async (address: Address, spiffe?: SpiffeAccess) => {
    if (!spiffe) return app.listen(address);
    const tell = (socket: object, known: KnownPrincipal) => identifier.tell(socket, known);
    const second = createSpiffeServer(spiffe, secondTransport(timeouts), tell, options.logger);
    second.on('request', (request, response) => app.routing(request, response));
    limitServer(second, perNetwork);
    second.maxRequestsPerSocket = MAX_REQUESTS_PER_CONNECTION;
    app.addHook('preClose', async () => void second.close());
    closeInTime(second, app, timeouts.requestMs);
    const url = await app.listen(address);
    second.listen(spiffe.listen);
    await once(second, 'listening');
    return url;
  });
  return app;
}

function limitServer(server: Server, connectionsPerNetwork: number): void {
  server.maxConnections = MAX_CONNECTIONS;
  limitConnections(server, connectionsPerNetwork);
}

function limitsOf(timeouts: HttpTimeouts) {
  return {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: timeouts.headersMs,
    // How often the two timeouts are looked at: the default of 30 s would let slow clients stay that much longer.
    connectionsCheckingInterval: Math.min(2000, timeouts.headersMs / 2),
  };
}

/** For a server that is not made by fastify, which sets the rest by itself. */
function secondTransport(timeouts: HttpTimeouts) {
  return {
    ...limitsOf(timeouts),
    requestTimeout: timeouts.requestMs,
    keepAliveTimeout: timeouts.idleMs,
    handshakeTimeout: timeouts.handshakeMs,
  };
}

function transport(tls: TlsMaterial | undefined, timeouts: HttpTimeouts) {
  const limits = limitsOf(timeouts);
  if (!tls) return { https: null, http: limits };
  return {
    https: {
      ...limits,
      cert: tls.certificate,
      key: tls.key,
      ca: tls.clientCa,
      requestCert: true,
      // Nodes show self-signed certificates; who they are is decided by Identifier.
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3' as const,
      handshakeTimeout: timeouts.handshakeMs,
    },
  };
}

// A mistake here must not wait for a request: the service does not start.
function refuseOpenRoute(route: RouteOptions): void {
  if (route.config?.access === undefined || route.config.access.length === 0) {
    throw new Error(`route ${String(route.method)} ${route.url} does not say who may ask (config.access)`);
  }
}

type RateLimit = (request: FastifyRequest) => Promise<void>;

/** Each client's network has its own count, and known callers have none: nobody uses up somebody else's share. */
function countStrangers(
  check: (request: FastifyRequest) => Promise<{ isAllowed: boolean; isExceeded?: boolean }>,
): RateLimit {
  return async (request) => {
    const { isAllowed, isExceeded } = await check(request);
    if (isAllowed || !isExceeded) return;
    throw new AssayError('rate-limited', 'too many requests from this address; try again in a minute');
  };
}

async function authorise(request: FastifyRequest, identifier: Identifier, limit: RateLimit): Promise<void> {
  const { socket } = request.raw;
  // A connection that nobody is behind is counted before it can cost a look into the database.
  const counted = identifier.isStranger(socket);
  if (counted) await limit(request);
  const principal = await identifier.identify(socket);
  Object.defineProperty(request, 'principal', { value: principal });
  if (principal.kind === 'anonymous' && !counted) await limit(request);
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

const SWEEP_MS = 50;

// Streams end at once; answers under way get their time, and their connections are closed as they fall idle, which
// a closing server does not do by itself; then every connection is closed.
function closeInTime(
  server: {
    closeAllConnections(): void;
    closeIdleConnections(): void;
    once(event: 'close', listener: () => void): unknown;
  },
  app: { addHook(name: 'preClose', hook: () => Promise<void>): unknown },
  deadlineMs: number,
): void {
  app.addHook('preClose', async () => {
    closeStreamsOf(server);
    const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
    const deadline = setTimeout(() => server.closeAllConnections(), deadlineMs);
    server.once('close', () => {
      clearInterval(sweep);
      clearTimeout(deadline);
    });
    // A server that never listened does not emit 'close'.
    sweep.unref();
    deadline.unref();
  });
}
