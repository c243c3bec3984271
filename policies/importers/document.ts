import type { Static, TSchema } from 'typebox';
import Value from 'typebox/value';
import { AssayError } from '../../core/errors.ts';

/**
 * JSON of one kind. Members that the schema does not name are left alone: SBOM formats have many.
 *
 * @param what such as `an SPDX 2.3 document`
 * @throws {AssayError} `invalid-request` that says where it differs
 */
export function parseDocument<T extends TSchema>(text: string, schema: T, what: string): Static<T> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new AssayError(
      'invalid-request',
      `${what} is expected, and this is not JSON: ${(cause as Error).message}`,
    );
  }
  if (Value.Check(schema, value)) return value;
  const [first] = Value.Errors(schema, value);
  const where = first?.instancePath || 'the top';
  throw new AssayError(
    'invalid-request',
    `${what} is expected: at ${where}, ${first?.message ?? 'it differs'}`,
  );
}
