import type { TSchema } from 'typebox';
import type { ErrorCode } from '../../core/errors.ts';
import { Problem } from '../../core/messages/common.ts';
import type { Access } from './principal.ts';
import { STATUS, TITLES } from './problem.ts';

type JsonObject = Record<string, unknown>;

/** What a route says of its refusals, for its description. */
export interface DescribedErrors {
  /** Besides those that come of its access and its schemas. */
  readonly errors?: readonly ErrorCode[];
  /** Of a route that does not answer with problem+json. */
  readonly errorForm?: ErrorForm;
}

export interface ErrorForm {
  readonly schema: TSchema;
  readonly statuses: Readonly<Record<number, string>>;
  /** What every other status means. */
  readonly otherwise: string;
}

const SUCCESS: Readonly<Record<string, string>> = {
  200: 'Done',
  201: 'Made',
  204: 'Done; there is nothing to say',
  304: 'Not changed since',
  503: 'Not ready',
};
const UNNAMED = 'Default Response';

/** The responses of an operation: what it declares, and what it refuses. */
export function describeResponses(
  operation: JsonObject,
  access: readonly Access[],
  { errors = [], errorForm }: DescribedErrors,
): JsonObject {
  const refusals = errorForm ? formed(errorForm) : problems([...commonErrors(operation, access), ...errors]);
  return { ...refusals, ...named(Object(operation.responses)) };
}

function named(responses: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(responses).map(([status, response]) => {
      const { description, ...rest } = Object(response);
      const text = description === UNNAMED ? (SUCCESS[status] ?? UNNAMED) : description;
      return [status, { description: text, ...rest }];
    }),
  );
}

function commonErrors(operation: JsonObject, access: readonly Access[]): ErrorCode[] {
  const hasBody = operation.requestBody !== undefined;
  const isPublic = access.includes('public');
  return [
    ...(hasBody || operation.parameters !== undefined ? (['invalid-request'] as const) : []),
    ...(hasBody ? (['too-large'] as const) : []),
    ...(isPublic ? (['rate-limited'] as const) : (['unauthenticated', 'forbidden'] as const)),
  ];
}

function problems(codes: readonly ErrorCode[]): JsonObject {
  const content = { 'application/problem+json': { schema: Problem } };
  const byStatus: Record<string, { description: string; content: JsonObject }> = {};
  for (const code of new Set(codes)) {
    const status = STATUS[code];
    const before = byStatus[status]?.description ?? TITLES[status] ?? 'Refused';
    byStatus[status] = {
      description: `${before}${before.includes('`') ? ',' : ':'} \`${code}\``,
      content,
    };
  }
  const otherwise =
    'An error that the caller did not make: `unavailable` (503, try again) or `internal` (500)';
  return { ...byStatus, default: { description: otherwise, content } };
}

function formed({ schema, statuses, otherwise }: ErrorForm): JsonObject {
  const content = { 'application/json': { schema } };
  const listed = Object.entries(statuses).map(([status, description]) => [status, { description, content }]);
  return { ...Object.fromEntries(listed), default: { description: otherwise, content } };
}
