import type { Static, TSchema } from 'typebox';
import Value from 'typebox/value';
import { printable } from '../../core/bytes/encoding.ts';
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
  const found = first ? valueAt(value, first.instancePath) : undefined;
  const is = typeof found === 'string' || typeof found === 'number' ? `, and is ${shorten(found)}` : '';
  throw new AssayError(
    'invalid-request',
    `${what} is expected: ${where} ${first?.message ?? 'differs'}${is}`,
  );
}

/** @param pointer JSON Pointer (RFC 6901) */
function valueAt(value: unknown, pointer: string): unknown {
  const names = pointer.split('/').slice(1);
  return names.reduce<unknown>((at, name) => {
    const key = name.replaceAll('~1', '/').replaceAll('~0', '~');
    return typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined;
  }, value);
}

function shorten(value: string | number): string {
  const text = printable(JSON.stringify(value));
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
