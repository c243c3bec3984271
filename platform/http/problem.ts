import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { AssayError, type ErrorCode } from '../../core/errors.ts';
import type { Problem } from '../../core/messages/common.ts';
import { isUnavailable } from '../database/index.ts';

/** The one place that says which HTTP status an error has; a new code does not compile without one. */
export const STATUS = {
  malformed: 400,
  'invalid-request': 400,
  'invalid-policy': 422,
  'invalid-config': 500,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  'too-large': 413,
  'rate-limited': 429,
  'challenge-expired': 410,
  'challenge-unknown': 404,
  'activation-failed': 403,
  'identity-refused': 422,
  'not-admitted': 403,
  'not-trusted': 403,
  unavailable: 503,
} as const satisfies Record<ErrorCode, number>;

/** What a status means, in words. */
export const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Not authenticated',
  403: 'Forbidden',
  404: 'Not found',
  409: 'Conflict',
  410: 'Gone',
  413: 'Too large',
  415: 'Unsupported media type',
  422: 'Refused',
  429: 'Too many requests',
  500: 'Internal error',
  503: 'Unavailable',
};

/** What a client may know of an error: ours with their words, everything else as a number to look up in the log. */
export function problemOf(error: unknown, requestId: string): Problem {
  const known = asAssayError(error);
  if (!known || (STATUS[known.code] >= 500 && known.code !== 'unavailable'))
    return { type: 'about:blank', title: 'Internal error', status: 500, code: 'internal', requestId };
  const status = STATUS[known.code];
  return {
    type: 'about:blank',
    title: TITLES[status] ?? 'Error',
    status,
    code: known.code,
    detail: known.message,
    requestId,
    ...(known.details.length > 0 ? { findings: known.details.map((detail) => ({ ...detail })) } : {}),
  };
}

function asAssayError(error: unknown): AssayError | undefined {
  if (error instanceof AssayError) return error;
  if (isUnavailable(error)) return new AssayError('unavailable', 'the database does not answer; try again');
  if (isFastifyError(error)) return fromFastify(error);
  return undefined;
}

// Fastify's own refusals: schema violations, bodies that are too large or no JSON, unknown media types.
function fromFastify(error: FastifyError): AssayError | undefined {
  const status = error.statusCode ?? 500;
  if (status === 413) return new AssayError('too-large', 'the body is larger than this route accepts');
  if (status === 429) return new AssayError('rate-limited', error.message);
  if (status >= 400 && status < 500) return new AssayError('invalid-request', error.message);
  return undefined;
}

function isFastifyError(error: unknown): error is FastifyError {
  return error instanceof Error && 'statusCode' in error;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}

/** The default error handler: problem+json (RFC 9457); faults of ours are logged, with the id the client got. */
export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = problemOf(error, request.id);
  // While the database is away every request ends like this: a line says it, a stack each time would bury the log.
  if (problem.code === 'unavailable')
    request.log.warn({ requestId: request.id, reason: reasonOf(error) }, 'unavailable');
  else if (problem.status >= 500) request.log.error({ err: error, requestId: request.id }, 'request failed');
  else request.log.debug({ code: problem.code, requestId: request.id }, problem.detail);
  if (problem.status === 503) reply.header('retry-after', '2');
  return reply.status(problem.status).type('application/problem+json').send(problem);
}
