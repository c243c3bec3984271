import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ErrorCode } from '../../core/errors.ts';
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
