import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { assay, digestSet, type TestFile } from './harness.ts';

const curl = (version: string, digest: number): TestFile[] =>
  ['/usr/bin/curl', '/usr/lib/libcurl.so', '/usr/lib/libcurl.so.4'].map((path) => ({
    ...{ path, digest, from: `curl ${version}` },
  }));
const many = Array.from({ length: 23 }, (_, index) => ({
  path: `/srv/${String(index).padStart(2, '0')}\u001b`,
  digest: 9,
}));
const before = digestSet([...curl('8.5.0-1', 1), { path: '/usr/bin/gone', digest: 2, from: 'gone 1.0' }]);
const after = digestSet([...curl('8.5.0-2', 3), { path: '/usr/bin/jq', digest: 4, from: 'jq 1.7' }, ...many]);

const text = (set: { id: string }, more = '', reaction = 'ban') => `assay: policy/v1
name: web
freshness: { interval: 30s, trust-for: 5m }
reaction: ${reaction}
pcrs: { bank: sha256, require: 0-2 }
ima:
  allow: [${set.id}]
${more}`;
const content = (id: string) => `/v1/digest-sets/${encodeURIComponent(id)}/content`;

let directory: string;
let file: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'assay-diff-'));
  file = join(directory, 'web.yaml');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test('two files and their sets are compared without a service', async () => {
  const other = join(directory, 'next.yaml');
  await writeFile(file, text(before));
  await writeFile(other, text(after, '  exclude: [/var/log/**]\n', 'stop'));
  await writeFile(join(directory, 'a'), before.bytes);
  await writeFile(join(directory, 'b'), after.bytes);
  const sets = ['--set', join(directory, 'a'), join(directory, 'b')];
  const { code, out, err } = await assay(['policy', 'diff', file, other, ...sets]);
  expect({ code, err }).toEqual({ code: 1, err: '' });
  expect(stripVTControlCharacters(out).split('\n')).toEqual([
    'becomes allowed:',
    '  any bytes at /var/log/** (exclude)',
    'settings:',
    '  reaction ban -> stop: weaker',
    'packages changed:',
    '  curl 8.5.0-1 -> 8.5.0-2: 3 files',
    'packages added:',
    '  jq 1.7: 1 file',
    'packages removed:',
    '  gone 1.0: 1 file',
    'files without a package (+ added, - removed, ~ other bytes):',
    ...many.slice(0, 20).map(({ path }) => `  + ${path.replace('\u001b', '\\x1b')}`),
    '  and 3 more',
  ]);
});

test('stored policies and their sets come from the verifier', async () => {
  await writeFile(file, text(after));
  const answers = {
    '/v1/policies/web?version=3': { document: text(before) },
    '/v1/policies/web': { document: text(after) },
    [content(before.id)]: before.bytes,
    [content(after.id)]: after.bytes,
  };
  const changed = await assay(['--json', 'policy', 'diff', 'web@3', file], answers);
  expect(changed.code).toBe(1);
  expect(JSON.parse(changed.out)).toMatchObject({
    ...{ allowed: [], forbidden: [], settings: [] },
    packages: [{ name: 'curl' }, { name: 'gone' }, { name: 'jq' }],
    files: { length: 23 },
  });
  const same = await assay(['policy', 'diff', 'web', file], answers);
  expect(same).toEqual({ code: 0, out: `web and ${file} allow the same`, err: '' });
});

test('a set that is not the one that was asked for is refused', async () => {
  await writeFile(file, text(before));
  const answers = {
    '/v1/policies/web': { document: text(after) },
    [content(before.id)]: before.bytes,
    [content(after.id)]: before.bytes,
  };
  const { code, err } = await assay(['policy', 'diff', 'web', file], answers);
  expect(code).toBe(4);
  expect(err).toContain(`sent the digest set ${before.id} when asked for ${after.id}`);
});

test('a file that there is not is told as such', async () => {
  await writeFile(file, text(before));
  const { code, err } = await assay(['policy', 'diff', 'nothing.yaml', file]);
  expect(code).toBe(2);
  expect(err).toMatch(/^error: there is no file nothing\.yaml; no client profile found/);
});

test('a set that is neither given nor to be had is told by id', async () => {
  const other = join(directory, 'next.yaml');
  await writeFile(file, text(before));
  await writeFile(other, text(after));
  const { code, err } = await assay(['policy', 'diff', file, other]);
  expect(code).toBe(2);
  expect(err).toContain(`${before.id} is not given with --set; no client profile found`);
});
