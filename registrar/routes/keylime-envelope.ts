import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { ErrorCode } from '../../core/errors.ts';
import { Envelope } from '../../core/messages/keylime/messages.ts';
import { problemOf } from '../../platform/http/problem.ts';

/** A success in the form of Keylime's v2 API. */
export function success<T>(results: T): { code: number; status: string; results: T } {
  return { code: 200, status: 'Success', results };
}

// Agents stop for good at 403, give up at other 4xx, and try again at 429 and 5xx.
const STATUS: Partial<Record<ErrorCode, number>> = {
  'identity-refused': 400,
  'activation-failed': 400,
  'challenge-unknown': 404,
  conflict: 403,
};

/** How routes with `sendKeylimeError` refuse, for their description. */
export const KEYLIME_ERRORS = {
  schema: Type.Object(Envelope(Type.Object({})).properties, { title: 'KeylimeError' }),
  statuses: {
    400: 'Malformed, or an identity or an answer that is refused; trying again is of no use',
    401: 'Not authenticated',
    403: 'Not for this caller, or the name belongs to another TPM',
    404: 'Not found, or no challenge is open',
    429: 'Too many requests; try again',
  },
  otherwise: 'An error that the caller did not make; try again',
};

/** An error in the form of Keylime's v2 API. An identity that belongs to another node is 403, as there. */
export function sendKeylimeError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = problemOf(error, request.id);
  if (problem.status >= 500) request.log.error({ err: error, requestId: request.id }, 'request failed');
  const foreign = problem.findings?.some(({ rule }) => rule === 'id.immutable' || rule === 'id.clone');
  const code = foreign ? 403 : (statusOf(problem.code) ?? problem.status);
  const details = (problem.findings ?? []).map(({ message }) => message).join('; ');
  const text = problem.detail ?? problem.title;
  return reply
    .status(code)
    .send({ code, status: details === '' ? text : `${text}: ${details}`.slice(0, 1024), results: {} });
}

function statusOf(code: string): number | undefined {
  return Object.entries(STATUS).find(([known]) => known === code)?.[1];
}
