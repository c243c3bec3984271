import type { Static, TSchema } from 'typebox';
import Value from 'typebox/value';
import { Agent, type Dispatcher, request } from 'undici';
import { AssayError, type ErrorCode, type ErrorDetail } from '../core/errors.ts';

/** What an agent asks of a service; each answer is checked against its schema. */
export interface ServiceClient {
  get<T extends TSchema>(path: string, schema: T): Promise<Static<T>>;
  post<T extends TSchema>(path: string, body: object, schema: T): Promise<Static<T>>;
  /** When the last answer was made, by the service's own clock. */
  readonly serverTime: Date | undefined;
  close(): Promise<void>;
}

export interface ServiceClientOptions {
  readonly url: string;
  /** Name in error messages. */
  readonly name: 'registrar' | 'issuer';
  /** PEM of the service CA: the only one that is trusted, with the host name. */
  readonly ca: string;
  /** Our own TLS identity, PEM. */
  readonly identity?: { readonly certificate: string; readonly key: string };
}

const TIMEOUT_MS = 20_000;
const MAX_ANSWER_BYTES = 1024 * 1024;
const CODES: ReadonlySet<string> = new Set<ErrorCode>([
  ...(['malformed', 'invalid-request', 'invalid-policy', 'invalid-config', 'unauthenticated'] as const),
  ...(['forbidden', 'not-found', 'conflict', 'too-large', 'rate-limited', 'challenge-expired'] as const),
  ...(['challenge-unknown', 'activation-failed', 'identity-refused', 'not-admitted', 'not-trusted'] as const),
  'unavailable',
]);

/** A service over TLS 1.3 with its CA pinned; follows no redirect and reads no more than its limit. */
export function createServiceClient(options: ServiceClientOptions): ServiceClient {
  const { ca, identity } = options;
  const dispatcher = new Agent({
    connect: {
      ca,
      minVersion: 'TLSv1.3',
      timeout: TIMEOUT_MS,
      ...(identity === undefined ? {} : { cert: identity.certificate, key: identity.key }),
    },
    connections: 2,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
  });
  let serverTime: Date | undefined;
  const call = async (method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> => {
    const response = await send(dispatcher, options, method, path, body);
    serverTime = dateOf(response) ?? serverTime;
    const value = await readJson(response, options.name);
    if (response.statusCode < 400) return value;
    throw refusalOf(options.name, response.statusCode, value);
  };
  const checked = <T extends TSchema>(schema: T, path: string, value: unknown): Static<T> => {
    if (Value.Check(schema, value)) return value;
    const [first] = Value.Errors(schema, value);
    const where = `${first?.instancePath ?? ''} ${first?.message ?? ''}`.trim();
    throw new AssayError(
      'malformed',
      `the ${options.name}'s answer to ${path} is not what is expected: ${where}`,
    );
  };
  return {
    get: async (path, schema) => checked(schema, path, await call('GET', path)),
    post: async (path, body, schema) => checked(schema, path, await call('POST', path, body)),
    get serverTime() {
      return serverTime;
    },
    close: () => dispatcher.destroy(),
  };
}

async function send(
  dispatcher: Dispatcher,
  { url, name }: ServiceClientOptions,
  method: 'GET' | 'POST',
  path: string,
  body: object | undefined,
): Promise<Dispatcher.ResponseData> {
  try {
    return await request(new URL(path, url), {
      method,
      dispatcher,
      headers: { accept: 'application/json', ...(body ? { 'content-type': 'application/json' } : {}) },
      body: body === undefined ? null : JSON.stringify(body),
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message || cause.name : String(cause);
    throw new AssayError('unavailable', `the ${name} at ${url} does not answer: ${why}`, { cause });
  }
}

async function readJson({ body }: Dispatcher.ResponseData, name: string): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      size += chunk.length;
      if (size > MAX_ANSWER_BYTES) break;
      chunks.push(chunk);
    }
  } catch (cause) {
    throw new AssayError('unavailable', `the connection to the ${name} broke`, { cause });
  }
  if (size > MAX_ANSWER_BYTES) throw new AssayError('too-large', `the ${name}'s answer is too large`);
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return undefined;
  }
}

/** The problem that a service reports, as the error it was there. */
function refusalOf(name: string, status: number, value: unknown): AssayError {
  const problem = isRecord(value) ? value : {};
  const message = typeof problem.detail === 'string' ? problem.detail : `the ${name} answered ${status}`;
  const details = Array.isArray(problem.findings) ? problem.findings.flatMap(asDetail) : [];
  return new AssayError(codeOf(problem.code, status), message, { details });
}

function codeOf(code: unknown, status: number): ErrorCode {
  if (typeof code === 'string' && isErrorCode(code)) return code;
  return status === 401 ? 'unauthenticated' : 'unavailable';
}

function isErrorCode(code: string): code is ErrorCode {
  return CODES.has(code);
}

function asDetail(value: unknown): ErrorDetail[] {
  if (!isRecord(value) || typeof value.message !== 'string') return [];
  const { rule, message } = value;
  return [typeof rule === 'string' ? { rule, message } : { message }];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function dateOf({ headers }: Dispatcher.ResponseData): Date | undefined {
  const text = headers.date;
  const time = typeof text === 'string' ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? undefined : new Date(time);
}
