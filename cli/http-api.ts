import { Agent, buildConnector, type Dispatcher, request } from 'undici';
import { AssayError, type ErrorCode } from '../core/errors.ts';
import type { Problem } from '../core/messages/common.ts';
import type { serverIdentity } from '../platform/spiffe/server-check.ts';
import { type Api, type Query, resolveNode, type ServiceName } from './api.ts';
import { parseEventStream } from './event-stream.ts';

const TIMEOUT_MS = 30_000;
const RECONNECT_MS = 2000;

/** PEM; and for a server that shows an X509-SVID, what is checked in place of its host name. */
export interface Material {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  readonly checkServerIdentity?: ReturnType<typeof serverIdentity>['checkServerIdentity'];
}

/** What the next connection is made with. */
type Credential = () => Promise<Material>;

/** The services over HTTPS with a client certificate. @param closeCredential called in the end */
export function httpApi(
  urls: Readonly<Record<ServiceName, string>>,
  credential: Material | Credential,
  closeCredential: () => Promise<void> = async () => {},
): Api {
  const dispatcher = new Agent({
    connect: connectorFor(typeof credential === 'function' ? credential : async () => credential),
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: 0,
  });
  const call = (service: ServiceName, path: string, options: CallOptions) =>
    send(dispatcher, service, new URL(path, urls[service]), options);

  const api: Api = {
    async get(service, path, query) {
      return readJson(await call(service, withQuery(path, query), { method: 'GET' }));
    },
    async getBytes(service, path) {
      const headers = { accept: 'application/octet-stream' };
      const response = await call(service, path, { method: 'GET', headers });
      return new Uint8Array(await response.body.arrayBuffer());
    },
    async send(service, method, path, body) {
      return readJson(await call(service, path, jsonCall(method, body)));
    },
    async sendText(service, path, body, contentType) {
      return readJson(
        await call(service, path, { method: 'POST', body, headers: { 'content-type': contentType } }),
      );
    },
    async sendBytes(service, path, body) {
      const headers = { 'content-type': 'application/octet-stream' };
      return readJson(await call(service, path, { method: 'POST', body, headers }));
    },
    events: (service, path, signal) => events(call, service, path, signal),
    nodeId: (name) => resolveNode(api, name),
    async close() {
      await dispatcher.close();
      await closeCredential();
    },
  };
  return api;
}

function connectorFor(credential: Credential): buildConnector.connector {
  return (target, done) => {
    credential().then(
      ({ certificate: cert, ...material }) =>
        buildConnector({ ...material, cert, timeout: TIMEOUT_MS })(target, done),
      (error: Error) => done(error, null),
    );
  };
}

interface CallOptions {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

function jsonCall(method: CallOptions['method'], body: unknown): CallOptions {
  if (body === undefined) return { method };
  return { method, body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
}

async function send(
  dispatcher: Dispatcher,
  service: ServiceName,
  url: URL,
  options: CallOptions,
): Promise<Dispatcher.ResponseData> {
  const response = await request(url, {
    ...options,
    headers: { accept: 'application/json', ...options.headers },
    dispatcher,
  }).catch((cause: Error) => {
    if (options.signal?.aborted) throw cause;
    const why = isForeign(cause)
      ? `shows a certificate that the CA of the profile did not sign (${cause.message})`
      : `does not answer: ${cause.message || cause.name}`;
    throw new AssayError('unavailable', `the ${service} at ${url.origin} ${why}`, { cause });
  });
  if (response.statusCode < 400) return response;
  throw problemOf(service, response.statusCode, await response.body.text());
}

// OpenSSL's names for a chain that does not lead to the CA.
const FOREIGN =
  /^(?:SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_.*|CERT_SIGNATURE_FAILURE)$/;

function isForeign(cause: Error): boolean {
  return 'code' in cause && typeof cause.code === 'string' && FOREIGN.test(cause.code);
}

function problemOf(service: ServiceName, status: number, text: string): AssayError {
  try {
    const problem: Partial<Problem> = JSON.parse(text);
    const code = (problem.code ?? 'unavailable') as ErrorCode;
    const details = (problem.findings ?? []).map(({ rule, message }) =>
      rule === undefined ? { message } : { rule, message },
    );
    return new AssayError(code, problem.detail ?? problem.title ?? `the ${service} answered ${status}`, {
      details,
    });
  } catch (cause) {
    return new AssayError('unavailable', `the ${service} answered ${status} without saying why`, { cause });
  }
}

async function readJson<T>(response: Dispatcher.ResponseData): Promise<T> {
  const text = await response.body.text();
  return (text === '' ? {} : JSON.parse(text)) as T;
}

function withQuery(path: string, query: Query = {}): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}

type Call = (service: ServiceName, path: string, options: CallOptions) => Promise<Dispatcher.ResponseData>;

async function* events<T>(
  call: Call,
  service: ServiceName,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<T> {
  let lastId: string | undefined;
  while (!signal.aborted) {
    const headers = {
      accept: 'text/event-stream',
      ...(lastId === undefined ? {} : { 'last-event-id': lastId }),
    };
    try {
      const { body } = await call(service, path, { method: 'GET', headers, signal });
      for await (const event of parseEventStream(body)) {
        lastId = event.id ?? lastId;
        yield JSON.parse(event.data) as T;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof AssayError && error.code !== 'unavailable') throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
  }
}
