import { readFileSync } from 'node:fs';
import type { Static, TSchema } from 'typebox';
import { type DocumentOptions, type ParsedDocument, parseYaml, refuse } from '../core/document.ts';
import { AssayError, type ErrorDetail } from '../core/errors.ts';
import { type Environment, environmentOverrides } from './config-environment.ts';

const MAX_CHARACTERS = 1024 * 1024;

export interface ConfigSources {
  /** A YAML file; absent: everything comes from the environment. */
  readonly file?: string;
  readonly env?: Environment;
  /** First part of the names in the environment: `ASSAY` makes `ASSAY_ISSUER_LISTEN` stand for `issuer.listen`. */
  readonly prefix?: string;
}

/**
 * One typed and frozen object from a file and the environment, which wins. All problems are reported together, each
 * with where it stands and what was expected; unknown keys are refused where the schema closes its objects.
 *
 * @throws {AssayError} `invalid-config`
 */
export function loadConfig<T extends TSchema>(schema: T, sources: ConfigSources): Static<T> {
  const { file, env = {}, prefix = 'ASSAY' } = sources;
  const { overrides, problems } = environmentOverrides(schema, env, prefix, readText);
  const options = { ...optionsFor(file ?? 'environment'), overrides };
  const details: ErrorDetail[] = problems.map((message) => ({ message }));
  try {
    const { value } = parseYaml(file === undefined ? '{}' : readText(file), schema, options);
    if (details.length === 0) return deepFreeze(value);
  } catch (error) {
    if (!(error instanceof AssayError) || error.details.length === 0) throw error;
    details.unshift(...error.details);
  }
  throw refuse(options, details);
}

/**
 * Reads a configuration file: all problems together, each with its line.
 *
 * @throws {AssayError} `invalid-config`
 */
export function readConfig<T extends TSchema>(file: string, schema: T): ParsedDocument<Static<T>> {
  return parseYaml(readText(file), schema, optionsFor(file));
}

function optionsFor(file: string): DocumentOptions {
  return { file, code: 'invalid-config', kind: 'configuration', maxCharacters: MAX_CHARACTERS };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    const why = isMissing ? `there is no file ${file}` : reasonOf(cause);
    throw new AssayError('invalid-config', `cannot read the configuration: ${why}`, { cause });
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const item of Object.values(value)) deepFreeze(item);
  return Object.freeze(value);
}

/** A secret from the environment: `NAME` itself, or a file that `NAME_FILE` names. */
export function environmentSecret(name: string, env: Environment): string | undefined {
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
