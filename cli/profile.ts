import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import Type, { type Static } from 'typebox';
import { parseYaml } from '../core/document.ts';
import { AssayError } from '../core/errors.ts';
import type { Api } from './api.ts';
import { httpApi } from './http-api.ts';

const Url = Type.String({ pattern: '^https://[^\\s]+$' });

/** `client.yaml`: where the services are and who one is. Paths are relative to the file. */
const Profile = Type.Object(
  {
    registrar: Url,
    verifier: Url,
    issuer: Url,
    ca: Type.String(),
    certificate: Type.String(),
    key: Type.String(),
  },
  { additionalProperties: false },
);

/**
 * Opens the services with the credential of a profile: the file given, `$ASSAY_PROFILE`, `./assay-data`, then the
 * user's own.
 *
 * @throws {AssayError} `invalid-config` that names the places that were tried
 */
export async function openApi(given: string | undefined): Promise<Api> {
  const { urls, material } = readProfile(given);
  return httpApi(urls, material);
}

/** The same without opening anything: where the services are, and the PEM files that the profile names. */
export function readProfile(given: string | undefined) {
  const file = findProfile(given);
  const options = { file, code: 'invalid-config' as const, kind: 'profile', maxCharacters: 65_536 };
  const { value } = parseYaml(readFileSync(file, 'utf8'), Profile, options);
  const { registrar, verifier, issuer } = value;
  return { urls: { registrar, verifier, issuer }, material: readMaterial(value, dirname(file)) };
}

export type Profile = Static<typeof Profile>;

function findProfile(given: string | undefined): string {
  const named = given ?? process.env.ASSAY_PROFILE;
  const places = named === undefined ? defaultPlaces() : [named];
  const found = places.find((place) => existsSync(place));
  if (found !== undefined) return resolve(found);
  const tried = places.map((place) => `\n  ${place}`).join('');
  throw new AssayError(
    'invalid-config',
    `no client profile found; "assay init" writes one, --profile or ASSAY_PROFILE names it. Tried:${tried}`,
  );
}

function defaultPlaces(): string[] {
  const config = process.env.XDG_CONFIG_HOME ?? join(homedir(), '.config');
  return [
    resolve('assay-data/admin/client.yaml'),
    join(config, 'assay/client.yaml'),
    '/etc/assay/admin/client.yaml',
  ];
}

function readMaterial(profile: Profile, directory: string) {
  const read = (name: 'ca' | 'certificate' | 'key') => {
    const file = resolve(directory, profile[name]);
    if (existsSync(file)) return readFileSync(file, 'utf8');
    throw new AssayError('invalid-config', `the profile's ${name} is missing: there is no file ${file}`);
  };
  return { ca: read('ca'), certificate: read('certificate'), key: read('key') };
}
