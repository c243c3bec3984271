import type { Static, TSchema } from 'typebox';
import Value from 'typebox/value';
import { type Document, isCollection, isNode, LineCounter, parseDocument } from 'yaml';
import { AssayError, type ErrorCode, type ErrorDetail } from './errors.ts';

/** Where a value stands in a YAML text: for rules that look at more than the shape. */
export interface DocumentSource {
  readonly file: string;
  /** `file:line:column: path: problem` for the value at `path` (keys and array indices). */
  locate(path: readonly (string | number)[], problem: string): ErrorDetail;
}

export interface ParsedDocument<T> {
  readonly value: T;
  readonly source: DocumentSource;
}

export interface DocumentOptions {
  /** Name shown in errors. */
  readonly file: string;
  /** The code of the error: `invalid-policy`, `invalid-config`. */
  readonly code: ErrorCode;
  /** What the text is, for the headline: `policy`, `configuration`. */
  readonly kind: string;
  readonly maxCharacters: number;
  /** Values that stand in for those of the text, checked with it. */
  readonly overrides?: readonly Override[];
}

/** A value from elsewhere, and where that is: shown in errors in place of file and line. */
export interface Override {
  readonly path: readonly string[];
  readonly value: unknown;
  readonly from: string;
}

/**
 * Reads a YAML 1.2 document that people write and checks it against a JSON schema. Aliases, tags, duplicate
 * keys and several documents are refused: a reviewer must be able to trust what stands there.
 *
 * @throws {AssayError} with every problem at once in `details`, each with file, line and what was expected
 */
export function parseYaml<T extends TSchema>(
  text: string,
  schema: T,
  options: DocumentOptions,
): ParsedDocument<Static<T>> {
  if (text.length > options.maxCharacters) {
    throw new AssayError(
      'too-large',
      `${options.file} has ${text.length} characters, the limit is ${options.maxCharacters}`,
    );
  }
  const lines = new LineCounter();
  const document = parseDocument(text, {
    ...{ lineCounter: lines, prettyErrors: false, version: '1.2' },
    // What it would warn of on standard error is said by the schema.
    logLevel: 'error',
  });
  const { overrides = [] } = options;
  const source = overriddenSource(sourceOf(document, lines, options.file), overrides);
  const syntax = document.errors.map((error) => {
    const { line, col } = lines.linePos(error.pos[0]);
    return { message: `${options.file}:${line}:${col}: ${error.message}` };
  });
  if (syntax.length > 0) throw refuse(options, syntax);
  const value = overrides.reduce(withOverride, plainValue(document, options));
  const problems = schemaProblems(schema, value, source);
  if (problems.length > 0) throw refuse(options, problems);
  return { value: value as Static<T>, source };
}

/** One error for all problems of a document. */
export function refuse(
  options: Pick<DocumentOptions, 'code' | 'kind' | 'file'>,
  details: readonly ErrorDetail[],
): AssayError {
  const count = details.length === 1 ? 'one problem' : `${details.length} problems`;
  const list = details.map((detail) => `\n  ${detail.message}`).join('');
  return new AssayError(options.code, `${options.kind} ${options.file} has ${count}:${list}`, { details });
}

function withOverride(value: unknown, { path: [key, ...rest], value: replacement, from }: Override): unknown {
  if (key === undefined) return replacement;
  const object = value ?? {};
  if (!isRecord(object)) return value;
  return { ...object, [key]: withOverride(object[key], { path: rest, value: replacement, from }) };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function overriddenSource(source: DocumentSource, overrides: readonly Override[]): DocumentSource {
  return {
    file: source.file,
    locate(path, problem) {
      const override = overrides.find((one) => one.path.every((key, index) => path[index] === key));
      return override === undefined
        ? source.locate(path, problem)
        : { message: `${override.from}: ${path.join('.')}: ${problem}` };
    },
  };
}

function plainValue(document: Document, options: DocumentOptions): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch {
    throw refuse(options, [
      { message: `${options.file}: anchors and aliases are not accepted, write the value out` },
    ]);
  }
}

function sourceOf(document: Document, lines: LineCounter, file: string): DocumentSource {
  return {
    file,
    locate(path, problem) {
      const offset = offsetOf(document, path);
      const { line, col } = lines.linePos(offset);
      const where = path.length === 0 ? '' : `${path.join('.')}: `;
      return { message: `${file}:${line}:${col}: ${where}${problem}` };
    },
  };
}

// The nearest node that exists: a missing key is shown where its parent stands.
function offsetOf(document: Document, path: readonly (string | number)[]): number {
  for (let length = path.length; length >= 0; length -= 1) {
    const found: unknown =
      length === 0 ? document.contents : document.getIn(keysOf(document, path.slice(0, length)), true);
    if (isNode(found) && found.range) return found.range[0];
  }
  return 0;
}

// JSON pointers say '7' where YAML may hold the number 7 as a key.
function keysOf(document: Document, path: readonly (string | number)[]): (string | number)[] {
  const keys: (string | number)[] = [];
  for (const part of path) {
    const parent: unknown = keys.length === 0 ? document.contents : document.getIn(keys, true);
    const numeric =
      typeof part === 'string' && /^\d+$/.test(part) && isCollection(parent) && !parent.has(part);
    keys.push(numeric ? Number(part) : part);
  }
  return keys;
}

interface SchemaError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly message: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly schemaPath: string;
}

function schemaProblems(schema: TSchema, value: unknown, source: DocumentSource): ErrorDetail[] {
  const errors: readonly SchemaError[] = [...Value.Errors(schema, value)];
  const details = errors.flatMap((error) => {
    const path = error.instancePath.split('/').slice(1).map(unescapePointer);
    return describe(error, path).map(([at, problem]) => source.locate(at, problem));
  });
  // A union reports each alternative; once said is enough.
  return [...new Map(details.map((detail) => [detail.message, detail])).values()];
}

type Problem = readonly [path: readonly string[], problem: string];

function describe(error: SchemaError, path: readonly string[]): Problem[] {
  switch (error.keyword) {
    case 'boolean':
      return []; // the twin of additionalProperties
    case 'additionalProperties':
      return strings(error.params.additionalProperties).map((key) => [
        [...path, key],
        'unknown key; check its spelling',
      ]);
    case 'required':
      return strings(error.params.requiredProperties).map((key) => [path, `needs the key "${key}"`]);
    case 'const':
      return [[path, `expected ${JSON.stringify(error.params.allowedValue)}`]];
    case 'enum':
      return [[path, `expected one of ${strings(error.params.allowedValues).join(', ')}`]];
    case 'pattern':
      return [[path, `does not have the expected form ${String(error.params.pattern)}`]];
    case 'anyOf':
      return [];
    default:
      return [[path, error.message]];
  }
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function unescapePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}
