import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Value from 'typebox/value';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import {
  type InitialiseOptions,
  type InitialiseSummary,
  initialise,
} from '../../../../cli/init/initialise.ts';
import { addGroup, renewServerCertificates } from '../../../../cli/init/maintain.ts';
import { parseCertificate } from '../../../../core/x509/certificate.ts';
import { renderGeneralName } from '../../../../core/x509/name-constraints.ts';
import { parsePem } from '../../../../core/x509/pem.ts';
import { pinOf } from '../../../../core/x509/spki.ts';
import { IssuerSection, resolveIssuerConfig } from '../../../../issuer/config.ts';
import { RegistrarConfig } from '../../../../registrar/config.ts';

let base = '';
let made: InitialiseSummary;
let count = 0;

const clock = () => new Date();
const fresh = () => {
  count += 1;
  return join(base, `installation-${count}`);
};
const options = (more: Partial<InitialiseOptions> = {}): InitialiseOptions => ({
  directory: fresh(),
  trustDomain: 'example.org',
  nodesDomain: 'nodes.example.org',
  groups: ['web', 'db'],
  hosts: ['assay.example.org', '192.0.2.7'],
  clock,
  random: randomBytes,
  ...more,
});
const read = (file: string) => parseCertificate(parsePem('CERTIFICATE', readFileSync(file, 'utf8')));
const openssl = (...args: string[]) => execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe' });

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'assay-init-'));
  made = await initialise(options());
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

const EXPECTED = [
  'admin/admin.crt',
  'admin/admin.key',
  'admin/ca.crt',
  'admin/client.yaml',
  'assay.yaml',
  'pki/issuer.crt',
  'pki/issuer.key',
  'pki/issuing-db.crt',
  'pki/issuing-db.key',
  'pki/issuing-web.crt',
  'pki/issuing-web.key',
  'pki/node-root.crt',
  'pki/node-root.key',
  'pki/registrar.crt',
  'pki/registrar.key',
  'pki/service-ca.crt',
  'pki/service-ca.key',
  'pki/verifier-results.crt',
  'pki/verifier-results.key',
  'pki/verifier.crt',
  'pki/verifier.key',
];

test('key.files: exactly the files of an installation, all of them 0600, in directories of 0700', () => {
  const entries = readdirSync(made.directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  expect(files.map((file) => file.slice(made.directory.length + 1)).sort()).toEqual(EXPECTED);
  for (const file of files) expect(statSync(file).mode & 0o777, file).toBe(0o600);
  const directories = entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));
  for (const directory of [made.directory, ...directories])
    expect(statSync(directory).mode & 0o777).toBe(0o700);
});

test('OpenSSL follows both chains', () => {
  const pki = join(made.directory, 'pki');
  for (const group of ['web', 'db']) {
    openssl(
      'verify',
      '-x509_strict',
      '-CAfile',
      join(pki, 'node-root.crt'),
      join(pki, `issuing-${group}.crt`),
    );
  }
  const ca = join(pki, 'service-ca.crt');
  for (const service of ['registrar', 'verifier', 'issuer']) {
    const named = ['-verify_hostname', 'assay.example.org', '-purpose', 'sslserver'];
    openssl('verify', '-x509_strict', ...named, '-CAfile', ca, join(pki, `${service}.crt`));
  }
  const admin = join(made.directory, 'admin/admin.crt');
  openssl('verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', ca, admin);
  expect(() => openssl('verify', '-purpose', 'sslserver', '-CAfile', ca, admin)).toThrow();
});

test('each certificate says its role, and servers their names', () => {
  const namesOf = (file: string) =>
    (read(join(made.directory, file)).subjectAltName ?? []).map(renderGeneralName);
  expect(namesOf('admin/admin.crt')).toEqual([expect.stringContaining('urn:assay:role:admin')]);
  const names = namesOf('pki/verifier.crt').join(' ');
  for (const name of [
    'assay.example.org',
    '192.0.2.7',
    'localhost',
    '127.0.0.1',
    'urn:assay:service:verifier',
  ]) {
    expect(names).toContain(name);
  }
});

test('a server file carries the service CA, which nodes pin', () => {
  const text = readFileSync(join(made.directory, 'pki/registrar.crt'), 'utf8');
  expect(text.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  const ca = read(made.serviceCa);
  expect(made.serviceCaPin).toBe(pinOf(ca));
  expect(text).toContain(readFileSync(made.serviceCa, 'utf8'));
});

test('issuing CAs are of the group, with path length 1, and no service certificate is of the node root', () => {
  const issuing = read(made.issuingCas.web ?? '');
  expect(issuing.basicConstraints).toEqual({ ca: true, pathLen: 1 });
  expect(issuing.subject.text).toContain('web');
  expect(read(made.nodeRoot).subject.text).not.toBe(read(made.serviceCa).subject.text);
});

test('assay.yaml and client.yaml say where the services are', () => {
  expect(parse(readFileSync(made.config, 'utf8'))).toMatchObject({
    'trust-domain': 'example.org',
    'nodes-domain': 'nodes.example.org',
    registrar: { listen: '0.0.0.0:8891', url: 'https://assay.example.org:8891' },
    issuer: { groups: { web: { ttl: '10m', 'key-modes': ['tpm', 'delivered'] }, db: {} } },
  });
  expect(parse(readFileSync(made.clientProfile, 'utf8'))).toEqual({
    registrar: 'https://assay.example.org:8891',
    verifier: 'https://assay.example.org:8881',
    issuer: 'https://assay.example.org:8882',
    ca: 'ca.crt',
    certificate: 'admin.crt',
    key: 'admin.key',
  });
});

test('an installation for one machine listens for it alone', async () => {
  const { config } = await initialise(options({ hosts: ['localhost'], groups: ['null', '1'] }));
  expect(parse(readFileSync(config, 'utf8'))).toMatchObject({
    registrar: { listen: '127.0.0.1:8891', url: 'https://localhost:8891' },
    issuer: { groups: { null: {}, '1': {} } },
  });
});

test('an installation is never overwritten, nor the remains of one', async () => {
  const again = options({ directory: made.directory });
  const before = readFileSync(made.config, 'utf8');
  await expect(initialise(again)).rejects.toMatchObject({ code: 'conflict' });
  expect(readFileSync(made.config, 'utf8')).toBe(before);
  const half = await initialise(options());
  rmSync(half.config);
  await expect(initialise(options({ directory: half.directory }))).rejects.toMatchObject({
    code: 'conflict',
  });
});

test('an existing root key is never overwritten', async () => {
  const rootKeyFile = join(base, 'somebody.key');
  writeFileSync(rootKeyFile, 'precious');
  const wanted = options({ rootKeyFile });
  await expect(initialise(wanted)).rejects.toMatchObject({ code: 'conflict' });
  expect(readFileSync(rootKeyFile, 'utf8')).toBe('precious');
  expect(existsSync(wanted.directory)).toBe(false);
});

test('the root key can be made elsewhere, and CA keys be encrypted; a new group needs both', async () => {
  const rootKeyFile = join(base, 'offline.key');
  const passphrase = 'correct horse';
  const { directory, rootKey } = await initialise(options({ rootKeyFile, passphrase }));
  expect(rootKey).toBe(rootKeyFile);
  expect(existsSync(join(directory, 'pki/node-root.key'))).toBe(false);
  for (const file of [
    rootKeyFile,
    join(directory, 'pki/service-ca.key'),
    join(directory, 'pki/issuing-web.key'),
  ]) {
    expect(readFileSync(file, 'utf8')).toContain('ENCRYPTED PRIVATE KEY');
  }
  const request = { directory, group: 'edge', clock };
  await expect(addGroup(request)).rejects.toMatchObject({ code: 'invalid-config' });
  await expect(addGroup({ ...request, rootKeyFile })).rejects.toMatchObject({ code: 'invalid-config' });
  const file = await addGroup({ ...request, rootKeyFile, passphrase });
  openssl('verify', '-x509_strict', '-CAfile', join(directory, 'pki/node-root.crt'), file);
  expect(statSync(join(directory, 'pki/issuing-edge.key')).mode & 0o777).toBe(0o600);
  await expect(addGroup({ ...request, rootKeyFile, passphrase })).rejects.toMatchObject({ code: 'conflict' });
});

test('a root key that is not that of the root certificate makes no group', async () => {
  const other = await initialise(options());
  const request = { directory: made.directory, group: 'edge', rootKeyFile: other.rootKey, clock };
  await expect(addGroup(request)).rejects.toMatchObject({ code: 'invalid-config' });
});

test('renewal makes new certificates of the services with the same names, and leaves everything else', async () => {
  const { directory, serviceCa, config } = await initialise(options());
  const before = new Map(EXPECTED.map((file) => [file, readFileSync(join(directory, file), 'utf8')]));
  const renewed = await renewServerCertificates({ directory, clock, random: randomBytes });
  expect(renewed.map(({ service }) => service)).toEqual([
    'registrar',
    'verifier',
    'issuer',
    'verifier results',
  ]);
  const changed = EXPECTED.filter((file) => readFileSync(join(directory, file), 'utf8') !== before.get(file));
  expect(changed).toEqual(
    EXPECTED.filter((file) => /pki\/(registrar|verifier|verifier-results|issuer)\./.test(file)),
  );
  expect(existsSync(config)).toBe(true);
  const names = (text: string) =>
    parseCertificate(parsePem('CERTIFICATE', text)).subjectAltName?.map(renderGeneralName).sort();
  expect(names(readFileSync(join(directory, 'pki/issuer.crt'), 'utf8'))).toEqual(
    names(before.get('pki/issuer.crt') ?? ''),
  );
  openssl('verify', '-x509_strict', '-CAfile', serviceCa, join(directory, 'pki/issuer.crt'));
});

test('renewal can change the names', async () => {
  const { directory } = await initialise(options());
  await renewServerCertificates({
    directory,
    hosts: ['new.example.org', '2001:db8::1'],
    clock,
    random: randomBytes,
  });
  const names = read(join(directory, 'pki/issuer.crt')).subjectAltName?.map(renderGeneralName).join(' ');
  expect(names).toContain('new.example.org');
  expect(names).not.toContain('assay.example.org');
});

const wrong: readonly [name: string, change: Partial<InitialiseOptions>][] = [
  ['a trust domain in capitals', { trustDomain: 'Example.org' }],
  ['a nodes domain with a dot at its end', { nodesDomain: 'nodes.example.org.' }],
  ['no group', { groups: [] }],
  ['a group that is a path', { groups: ['../web'] }],
  ['a group twice', { groups: ['web', 'web'] }],
  ['no host', { hosts: [] }],
  ['a host that is a URL', { hosts: ['https://assay'] }],
];
for (const [name, change] of wrong) {
  test(`${name} is refused, and nothing is written`, async () => {
    const request = options(change);
    await expect(initialise(request)).rejects.toMatchObject({ code: 'invalid-request' });
    expect(existsSync(request.directory)).toBe(false);
  });
}

test('the services accept the configuration that is written', async () => {
  const config = parse(readFileSync(made.config, 'utf8'));
  expect([...Value.Errors(IssuerSection, config.issuer)]).toEqual([]);
  expect([...Value.Errors(RegistrarConfig, config.registrar)]).toEqual([]);
  expect(resolveIssuerConfig(config.issuer).groups.size).toBe(2);
});
