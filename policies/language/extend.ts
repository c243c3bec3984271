import { parseDocument, stringify } from 'yaml';
import { AssayError } from '../../core/errors.ts';

/** A policy as its author keeps it: perhaps `extends` another one. */
export interface PolicySource {
  /** Name shown in errors. */
  readonly file: string;
  readonly text: string;
}

/** Finds what a document names in `extends`: another file, as seen from this one, or a shipped profile. */
export type FindBase = (reference: string, from: string) => Promise<PolicySource>;

const MAX_DEPTH = 8;

/**
 * The one document that a policy means with all that it extends: what is stored, signed, reviewed and judged by. A policy
 * that extends none stays as it is, with its comments.
 *
 * Sections are joined key by key. Lists are joined, the base's first; any other value takes the place of the base's.
 *
 * @throws {AssayError} `invalid-policy` for a base that extends itself, for too many, and for text that is no YAML
 */
export async function flattenPolicy(source: PolicySource, findBase: FindBase): Promise<string> {
  const own = readMapping(source);
  if (own.extends === undefined) return source.text;
  const merged = await mergeBases(source, own, findBase, []);
  return stringify(merged, { lineWidth: 0 });
}

type Mapping = Readonly<Record<string, unknown>>;

async function mergeBases(
  source: PolicySource,
  { extends: references, ...own }: Mapping,
  findBase: FindBase,
  above: readonly string[],
): Promise<Mapping> {
  if (above.includes(source.file)) throw refused(source.file, `extends itself, by ${above.join(', ')}`);
  if (above.length > MAX_DEPTH)
    throw refused(source.file, `extends more than ${MAX_DEPTH} policies in a row`);
  let merged: Mapping = {};
  for (const reference of referencesOf(references, source.file)) {
    const base = await findBase(reference, source.file);
    const content = await mergeBases(base, readMapping(base), findBase, [...above, source.file]);
    merged = mergeMappings(merged, content);
  }
  // What a base is for is not what this policy is for.
  const { description: _, ...inherited } = merged;
  return mergeMappings(inherited, own);
}

function referencesOf(value: unknown, file: string): readonly string[] {
  if (value === undefined) return [];
  const list = Array.isArray(value) ? value : [value];
  if (list.every((one) => typeof one === 'string' && one !== '')) return list;
  throw refused(
    file,
    'extends must be the name of a file or a shipped profile (assay:NAME), or a list of them',
  );
}

function mergeMappings(base: Mapping, own: Mapping): Mapping {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(own)) merged[key] = mergeValues(base[key], value);
  return merged;
}

function mergeValues(base: unknown, own: unknown): unknown {
  if (isMapping(base) && isMapping(own)) return mergeMappings(base, own);
  if (!Array.isArray(base) || !Array.isArray(own)) return own;
  const known = new Set(base.map((item) => JSON.stringify(item)));
  return [...base, ...own.filter((item) => !known.has(JSON.stringify(item)))];
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readMapping({ file, text }: PolicySource): Mapping {
  const document = parseDocument(text, { version: '1.2', logLevel: 'error' });
  const [error] = document.errors;
  if (error) throw refused(file, error.message);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 0 });
  } catch {
    throw refused(file, 'anchors and aliases are not accepted, write the value out');
  }
  // parsePolicy says what a document should be.
  return isMapping(value) ? value : {};
}

function refused(file: string, problem: string): AssayError {
  return new AssayError('invalid-policy', `policy ${file}: ${problem}`);
}
