import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { initialise } from '../../../../cli/init/initialise.ts';
import { addGroup } from '../../../../cli/init/maintain.ts';
import { activate, listAuthorities, prepare, retire } from '../../../../cli/init/rotate.ts';
import { openAuthorities } from '../../../../issuer/signer/authorities.ts';

const names = { trustDomain: 'example.org', nodesDomain: 'nodes.example.org' };
const clock = () => new Date();
let base: string;
let directory: string;
let count = 0;

beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), 'assay-rotate-'));
});
afterAll(() => rmSync(base, { recursive: true, force: true }));
beforeEach(async () => {
  count += 1;
  directory = join(base, `${count}`);
  await initialise({
    ...names,
    directory,
    groups: ['web'],
    hosts: ['localhost'],
    clock,
    random: randomBytes,
  });
});

const pki = (file: string) => join(directory, 'pki', file);
const bytes = (file: string) => readFileSync(pki(file), 'utf8');
const states = async () => (await listAuthorities(directory)).map(({ name, state }) => `${name} ${state}`);
const issuer = (fullTierCa = false) =>
  openAuthorities({
    ...{ ...names, pkiDirectory: pki(''), now: new Date() },
    groups: new Map([['web', { fullTierCa }]]),
  });

test('what is prepared is published and signs nothing; what is activated signs; what was before revokes', async () => {
  const old = bytes('issuing-web.crt');
  await prepare({ directory, name: 'web', clock });
  const next = bytes('issuing-web.next.crt');
  expect(statSync(pki('issuing-web.next.key')).mode & 0o777).toBe(0o600);
  execFileSync('openssl', [
    'verify',
    '-x509_strict',
    '-CAfile',
    pki('node-root.crt'),
    pki('issuing-web.next.crt'),
  ]);
  const prepared = await issuer();
  expect(prepared.issuing.map(({ name, state }) => [name, state])).toEqual([
    ['web', 'current'],
    ['web.next', 'next'],
  ]);
  expect([...prepared.signers.keys()]).toEqual(['web']);
  await activate(directory, 'web');
  expect([bytes('issuing-web.crt'), bytes('issuing-web.previous.crt')]).toEqual([next, old]);
  const active = await issuer();
  expect([...active.signers.keys()]).toEqual(['web', 'web.previous']);
  expect(active.signerOf('web', null)).toBe(active.signers.get('web'));
  await retire(directory, 'web');
  expect(await states()).toEqual(['root current', 'web current']);
  expect(existsSync(pki('issuing-web.previous.key'))).toBe(false);
});

test('an issuing CA that is prepared while a root is, is below the next root', async () => {
  await prepare({ directory, name: 'root', clock });
  await prepare({ directory, name: 'web', clock });
  execFileSync('openssl', ['verify', '-CAfile', pki('node-root.next.crt'), pki('issuing-web.next.crt')]);
  await activate(directory, 'web');
  const { signerOf, rootOf, roots } = await issuer();
  expect(roots).toHaveLength(2);
  expect(rootOf(signerOf('web', null))).toEqual(roots[1]?.der);
});

test('a root is not retired while a CA is below it', async () => {
  await prepare({ directory, name: 'root', clock });
  await activate(directory, 'root');
  await expect(retire(directory, 'root')).rejects.toThrow(/issuing-web\.crt is signed by that root/);
  expect((await issuer()).signers.has('web')).toBe(true);
});

test('nothing is overwritten, and nothing that is not there is activated or retired', async () => {
  const missing = { code: 'not-found' };
  await expect(activate(directory, 'web')).rejects.toMatchObject(missing);
  await expect(retire(directory, 'web')).rejects.toMatchObject(missing);
  await expect(prepare({ directory, name: 'other', clock })).rejects.toMatchObject(missing);
  await prepare({ directory, name: 'web', clock });
  await expect(prepare({ directory, name: 'web', clock })).rejects.toMatchObject({ code: 'conflict' });
  await activate(directory, 'web');
  await prepare({ directory, name: 'web', clock });
  await expect(activate(directory, 'web')).rejects.toThrow(/retire it first/);
});

test('the next root has its key where it is wanted', async () => {
  const rootKeyFile = join(base, `root-${count}.key`);
  await prepare({ directory, name: 'root', rootKeyFile, clock });
  expect(existsSync(pki('node-root.next.key'))).toBe(false);
  await prepare({ directory, name: 'web', rootKeyFile, clock });
  await activate(directory, 'root');
  execFileSync('openssl', ['verify', '-CAfile', pki('node-root.crt'), pki('issuing-web.next.crt')]);
});

test('nodes of the full tier have a CA of their own when the group says so', async () => {
  await expect(issuer(true)).rejects.toThrow(/issuing-web\.full\.crt/);
  await addGroup({ directory, group: 'web.full', clock });
  const { signerOf } = await issuer(true);
  expect(signerOf('web', 'full').sha256).not.toEqual(signerOf('web', null).sha256);
  const without = await issuer();
  expect(without.signerOf('web', 'full')).toBe(without.signerOf('web', null));
});
