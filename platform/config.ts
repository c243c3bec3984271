import { readFileSync } from 'node:fs';
import type { Static, TSchema } from 'typebox';
import { type ParsedDocument, parseYaml } from '../core/document.ts';
import { AssayError } from '../core/errors.ts';

const MAX_CHARACTERS = 1024 * 1024;

/**
 * Reads a configuration file: all problems together, each with its line.
 *
 * @throws {AssayError} `invalid-config`
 */
export function readConfig<T extends TSchema>(file: string, schema: T): ParsedDocument<Static<T>> {
  return parseYaml(readText(file), schema, {
    file,
    code: 'invalid-config',
    kind: 'configuration',
    maxCharacters: MAX_CHARACTERS,
  });
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AssayError('invalid-config', `cannot read the configuration: ${why}`, { cause });
  }
}

/** A secret from the environment: `NAME` itself, or a file that `NAME_FILE` names. */
export function environmentSecret(name: string, env: NodeJS.ProcessEnv): string | undefined {
  const file = env[`${name}_FILE`];
  const value = file === undefined ? env[name] : readText(file).trim();
  return value === '' ? undefined : value;
}

/** `host:port`, `[::1]:port` or `:port` (all addresses). @throws {AssayError} `invalid-config` */
export function parseListen(text: string): { readonly host: string; readonly port: number } {
  const match = /^(\[[0-9a-f:.]+\]|[^:]*):(\d{1,5})$/i.exec(text);
  const port = Number(match?.[2]);
  if (!match || port > 65535)
    throw new AssayError('invalid-config', `"${text}" is not an address such as 127.0.0.1:8891`);
  return { host: (match[1] ?? '').replace(/^\[|\]$/g, '') || '::', port };
}
