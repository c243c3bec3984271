import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import Type, { type Static } from 'typebox';
import { parseYaml } from '../core/document.ts';
import { AssayError } from '../core/errors.ts';
import { parseSpiffeId } from '../core/spiffe/id.ts';
import { createLogger } from '../platform/logging.ts';
import { readKeyFile } from '../platform/pki/key-file.ts';
import { resolveSvid, SvidSection } from '../platform/spiffe/config.ts';
import { bundlePem } from '../platform/spiffe/identity.ts';
import { serverIdentity } from '../platform/spiffe/server-check.ts';
import { openX509Source } from '../platform/spiffe/x509-source.ts';
import type { Api } from './api.ts';
import { httpApi, type Material } from './http-api.ts';

const SVID_MS = 10_000;
const SILENT = { level: 'silent', name: 'assay' } as const;
const Url = Type.String({ pattern: '^https://[^\\s]+$' });

/**
 * `client.yaml`: where the services are and who one is, by certificate files or by an X509-SVID. Paths are relative to
 * the file.
 */
const Profile = Type.Object(
  {
    registrar: Url,
    verifier: Url,
    issuer: Url,
    ca: Type.Optional(Type.String()),
    certificate: Type.Optional(Type.String()),
    key: Type.Optional(Type.String()),
    svid: Type.Optional(SvidSection),
    'server-id': Type.Optional(
      Type.String({ description: "The services' SPIFFE ID, or one followed by /* for all below it" }),
    ),
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
  const { value, urls, directory } = parseProfile(given);
  if (value.svid === undefined) return httpApi(urls, await readMaterial(value, directory));
  return svidApi(urls, value.svid, value['server-id'], directory);
}

/** The same without opening anything: where the services are, and the PEM files that the profile names. */
export async function readProfile(given: string | undefined) {
  const { value, urls, directory } = parseProfile(given);
  return { urls, material: await readMaterial(value, directory) };
}

function parseProfile(given: string | undefined) {
  const file = findProfile(given);
  const options = { file, code: 'invalid-config' as const, kind: 'profile', maxCharacters: 65_536 };
  const { value } = parseYaml(readFileSync(file, 'utf8'), Profile, options);
  const { registrar, verifier, issuer } = value;
  return { value, urls: { registrar, verifier, issuer }, directory: dirname(file) };
}

function svidApi(
  urls: Parameters<typeof httpApi>[0],
  section: SvidSection,
  serverId: string | undefined,
  directory: string,
): Api {
  if (serverId === undefined)
    throw new AssayError(
      'invalid-config',
      'the profile has an svid and no server-id: say which SPIFFE ID the services show',
    );
  const { trustDomain } = parseSpiffeId(serverId.replace(/\/\*$/, ''));
  const { checkServerIdentity } = serverIdentity(serverId);
  const source = openX509Source(resolveSvid(section, 'svid', directory), createLogger(SILENT));
  const credential = async () => {
    const identity = await source.ready(SVID_MS);
    const { certificate, key } = identity;
    return { ca: bundlePem(identity, trustDomain), certificate, key, checkServerIdentity };
  };
  return httpApi(urls, credential, () => source.close());
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

/** Read here, so that what is wrong is said with the name of its file (rule `key.files` for the key). */
async function readMaterial(profile: Profile, directory: string): Promise<Material> {
  const fileOf = (name: 'ca' | 'certificate' | 'key') => {
    const named = profile[name];
    if (named === undefined)
      throw unusable(`the profile names no ${name}: it needs ca, certificate and key, or svid`);
    const file = resolve(directory, named);
    if (existsSync(file)) return file;
    throw unusable(`the profile's ${name} is missing: there is no file ${file}`);
  };
  const files = { ca: fileOf('ca'), certificate: fileOf('certificate'), key: fileOf('key') };
  const [ca, certificate] = [
    readCertificate('ca', files.ca),
    readCertificate('certificate', files.certificate),
  ];
  const key = await readKeyFile(files.key);
  if (!certificate.parsed.checkPrivateKey(key))
    throw unusable(`the profile's key ${files.key} is not that of its certificate ${files.certificate}`);
  const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { ca: ca.pem, certificate: certificate.pem, key: pem };
}

function readCertificate(name: string, file: string) {
  const pem = readFileSync(file, 'utf8');
  try {
    return { pem, parsed: new X509Certificate(pem) };
  } catch (cause) {
    throw unusable(`the profile's ${name} ${file} is no certificate in PEM`, cause);
  }
}

function unusable(message: string, cause?: unknown): AssayError {
  return new AssayError('invalid-config', message, { cause });
}
