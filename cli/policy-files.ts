import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AssayError } from '../core/errors.ts';
import { flattenPolicy, type PolicySource } from '../policies/language/extend.ts';
import { parsePolicy } from '../policies/language/parse.ts';
import { openPolicy } from '../policies/language/signed.ts';
import type { Policy } from '../policies/policy.ts';
import { readTextFile } from './files.ts';

// Beside the bundle, or in a checkout.
const PROFILES =
  ['./profiles', '../policies/profiles']
    .map((place) => fileURLToPath(new URL(place, import.meta.url)))
    .find((directory) => existsSync(directory)) ?? 'profiles';
const SHIPPED = /^assay:([a-z0-9-]+)$/;

/** A policy from a file, in one document with all that it extends; perhaps in its envelope. */
export interface PolicyFile {
  /** What is stored: the envelope if it is in one. */
  readonly stored: string;
  /** The document alone. */
  readonly text: string;
  readonly policy: Policy;
}

/**
 * @param file a path, - for standard input, or `assay:NAME` for a policy that ships
 * @throws {AssayError} `invalid-policy`, with every problem of the document
 */
export async function readPolicyFile(file: string): Promise<PolicyFile> {
  const [, shipped] = SHIPPED.exec(file) ?? [];
  const source = shipped === undefined ? await readTextFile(file) : readShipped(shipped);
  const { text: own, envelope } = openPolicy(source);
  if (envelope) return { stored: source, text: own, policy: parsePolicy(own, file) };
  const isPath = shipped === undefined && file !== '-';
  const text = await flattenPolicy({ file: isPath ? resolve(file) : file, text: own }, findBase);
  // Lines are then those of a text that stands in no file: `assay policy flatten` shows it.
  const name = text === own ? file : `${file} with what it extends`;
  return { stored: text, text, policy: parsePolicy(text, name) };
}

async function findBase(reference: string, from: string): Promise<PolicySource> {
  const [, shipped] = SHIPPED.exec(reference) ?? [];
  if (shipped !== undefined) return { file: reference, text: readShipped(shipped) };
  const file = resolve(from === '-' ? '.' : dirname(from), reference);
  const { text, envelope } = openPolicy(await readTextFile(file));
  // Whoever extends it signs the whole: a signature of a part would say nothing.
  if (envelope)
    throw new AssayError(
      'invalid-policy',
      `${from} extends ${reference}, which is signed: extend its document`,
    );
  return { file, text };
}

function readShipped(name: string): string {
  const names = readdirSync(PROFILES).map((file) => file.replace(/\.yaml$/, ''));
  if (names.includes(name)) return readFileSync(resolve(PROFILES, `${name}.yaml`), 'utf8');
  const known = names.sort().map((one) => `assay:${one}`);
  throw new AssayError('invalid-policy', `no policy ships as assay:${name}; there are ${known.join(', ')}`);
}
