import type { TSchema } from 'typebox';
import type { Override } from '../core/document.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface EnvironmentOverrides {
  readonly overrides: readonly Override[];
  /** Variables of a section of ours that name no key. */
  readonly problems: readonly string[];
}

interface Key {
  readonly path: readonly string[];
  readonly schema: SchemaNode;
}

interface SchemaNode {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
}

/**
 * Values that the environment has for the keys of a schema: `ASSAY_ISSUER_CRL_INTERVAL` for `issuer.crl.interval`;
 * with `_FILE` after it, it names a file that holds the value, for secrets. Lists are separated by commas.
 */
export function environmentOverrides(
  schema: TSchema,
  env: Environment,
  prefix: string,
  readFile: (path: string) => string,
): EnvironmentOverrides {
  const root: SchemaNode = schema;
  const keys = new Map(keysOf(root, []).map((key) => [variableOf(prefix, key.path), key]));
  const sections = Object.entries(root.properties ?? {})
    .filter(([, section]) => section.properties !== undefined)
    .map(([name]) => `${variableOf(prefix, [name])}_`);
  const overrides: Override[] = [];
  const problems: string[] = [];
  for (const [name, text] of Object.entries(env)) {
    if (text === undefined) continue;
    const direct = keys.get(name);
    const byFile = direct ? undefined : keys.get(name.replace(/_FILE$/, ''));
    const key = direct ?? byFile;
    if (key) {
      const value = parsedAs(byFile ? readFile(text).trim() : text, key.schema);
      overrides.push({ path: key.path, value, from: name });
    } else if (sections.some((section) => name.startsWith(section))) {
      problems.push(`${name}: unknown variable; check its spelling`);
    }
  }
  return { overrides, problems };
}

// Only what the schema names: entries of a map, such as groups, come from the file.
function keysOf(node: SchemaNode, path: readonly string[]): Key[] {
  if (node.properties === undefined) return [{ path, schema: node }];
  return Object.entries(node.properties).flatMap(([name, child]) => keysOf(child, [...path, name]));
}

function variableOf(prefix: string, path: readonly string[]): string {
  return [prefix, ...path].join('_').replaceAll('-', '_').toUpperCase();
}

// Text that does not fit stays text: the schema then says what was expected.
function parsedAs(text: string, { type }: SchemaNode): unknown {
  if ((type === 'integer' || type === 'number') && /^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  if (type === 'boolean' && /^(true|false)$/.test(text)) return text === 'true';
  if (type === 'array') return text === '' ? [] : text.split(',').map((item) => item.trim());
  return text;
}
