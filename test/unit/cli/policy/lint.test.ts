import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { assay, digestSet } from './harness.ts';

const set = digestSet([{ path: '/usr/bin/curl', digest: 1 }]);
const head = `assay: policy/v1
name: web
freshness: { interval: 30s, trust-for: 5m }
reaction: ban
pcrs: { bank: sha256, require: 0-2 }
`;
let directory: string;
let file: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'assay-lint-'));
  file = join(directory, 'web.yaml');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test('a policy without warnings ends with 0 and asks no service', async () => {
  await writeFile(file, head);
  expect(await assay(['policy', 'lint', file])).toEqual({ code: 0, out: `${file}: no warnings`, err: '' });
});

test('warnings name the place, what is wrong and what to do, and end with 1', async () => {
  await writeFile(file, `${head}ima:\n  allow: [${set.id}]\n  exclude: [/usr/**]\n`);
  await writeFile(join(directory, 'set'), set.bytes);
  const { code, out, err } = await assay(['policy', 'lint', file, '--set', join(directory, 'set')]);
  expect(code).toBe(1);
  expect(out.split('\n')).toEqual([
    `${file}:8:13: exclude.wide: /usr/** covers directories of programs or of what they are configured with: any bytes are accepted there; name the files that must be left out one by one, or allow their digests`,
    `${file}:8:13: exclude.hides: /usr/** hides one file that is allowed by digest, /usr/bin/curl: other bytes there pass as well; take the exclusion out or make it narrower`,
  ]);
  expect(err).toBe('not checked whether the verifier has the digest sets: no client profile found');
});

test('with a profile a set that the verifier lacks is told, as JSON too', async () => {
  await writeFile(file, `${head}ima: { allow: [${set.id}] }\n`);
  const lacking = await assay(['--json', 'policy', 'lint', file], { '/v1/digest-sets': { sets: [] } });
  expect(lacking.code).toBe(1);
  expect(JSON.parse(lacking.out)).toMatchObject([
    { code: 'set.not-stored', line: 6, column: 16, key: 'ima.allow.0' },
  ]);
  const stored = await assay(['policy', 'lint', file], { '/v1/digest-sets': { sets: [{ id: set.id }] } });
  expect(stored).toMatchObject({ code: 0, err: '' });
});

test('a verifier that refuses to answer is an error, not a pass', async () => {
  await writeFile(file, `${head}ima: { allow: [${set.id}] }\n`);
  expect(await assay(['policy', 'lint', file], {})).toMatchObject({ code: 3, out: '' });
});

test('a file that is no digest set is refused by name', async () => {
  await writeFile(file, head);
  const { code, err } = await assay(['policy', 'lint', file, '--set', file]);
  expect(code).toBe(2);
  expect(err).toMatch(/web\.yaml is no digest set/);
});

test('a command that needs a profile ends with 2 and says which places were tried', async () => {
  const { code, err } = await assay(['policy', 'list']);
  expect(code).toBe(2);
  expect(err).toBe('error: no client profile found; make one. Tried:\n  /somewhere');
});
