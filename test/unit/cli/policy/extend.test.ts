import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parsePolicy } from '../../../../policies/language/parse.ts';
import { openPolicy } from '../../../../policies/language/signed.ts';
import { assay } from './harness.ts';

const SET = (digit: string) => `sha256:${digit.repeat(64)}`;
const BASE = `assay: policy/v1
name: fleet
description: What all nodes have.
freshness: { interval: 30s, trust-for: 5m }
reaction: report
pcrs: { bank: sha256, require: 0-7 }
ima: { allow: ['${SET('a')}'], exclude: [/var/log/**] }
`;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'extend-'));
  write('base.yaml', BASE);
});
afterAll(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);
function write(name: string, text: string): string {
  writeFileSync(at(name), text, { mode: 0o600 });
  return at(name);
}
async function flatten(name: string, text: string) {
  const { code, out, err } = await assay(['policy', 'flatten', write(name, text)]);
  return { code, out, err, policy: code === 0 ? parsePolicy(out) : undefined };
}

describe('extends', () => {
  test('joins sections and lists, and own values take the place of the base', async () => {
    const { policy, out } = await flatten(
      'web.yaml',
      `extends: base.yaml
name: web
reaction: ban
freshness: { interval: 10s }
ima: { allow: ['${SET('b')}', '${SET('a')}'], match: anywhere }
`,
    );
    expect(policy).toMatchObject({
      name: 'web',
      // A description says what a policy is for; that of the base is about the base.
      description: '',
      reaction: 'ban',
      freshness: { intervalMs: 10_000, trustForMs: 300_000 },
      ima: { allow: [SET('a'), SET('b')], anyPath: true },
    });
    expect(policy?.ima?.exclude.map((glob) => glob.text)).toEqual(['/var/log/**']);
    expect(out).not.toContain('extends');
  });

  test('takes shipped profiles, and several bases in order', async () => {
    const { policy } = await flatten(
      'server.yaml',
      `extends: [assay:debian-shim-grub, base.yaml]\nname: server\nreaction: stop\n`,
    );
    expect(policy).toMatchObject({ name: 'server', reaction: 'stop', boot: { profile: 'shim-grub' } });
    expect(policy?.ima?.allow).toEqual([SET('a')]);
  });

  test('goes on through bases that extend others, as seen from each file', async () => {
    write('middle.yaml', `extends: ./base.yaml\nname: middle\nreaction: stop\n`);
    const { policy } = await flatten('leaf.yaml', 'extends: middle.yaml\nname: leaf\n');
    expect(policy).toMatchObject({ name: 'leaf', reaction: 'stop' });
  });

  test('a policy that extends none stays as it is, with its comments', async () => {
    const text = `# for all\n${BASE}`;
    expect((await flatten('plain.yaml', text)).out).toBe(text.trimEnd());
  });

  test.each([
    ['a base that is not there', 'extends: nothing.yaml\nname: x\n', 'cannot read'],
    [
      'a profile that is not shipped',
      'extends: assay:nothing\nname: x\n',
      'there are assay:baseline, assay:cloud-vm',
    ],
    ['something else than a name', 'extends: { a: 1 }\nname: x\n', 'extends must be the name of a file'],
    ['itself', 'extends: case.yaml\nname: x\n', 'extends itself'],
    ['aliases', 'extends: base.yaml\nname: &a x\ndescription: *a\n', 'aliases are not accepted'],
    ['what gives no policy', 'extends: base.yaml\nreaction: explode\n', 'with what it extends'],
  ])('refuses %s', async (_case, text, problem) => {
    const { code, err } = await flatten('case.yaml', text);
    expect(code).toBe(2);
    expect(err).toContain(problem);
  });

  test('a verifier takes flat documents alone', () => {
    expect(() => parsePolicy(`extends: base.yaml\n${BASE}`)).toThrow('assay policy flatten');
  });

  test('what is checked, linted, compared and signed is the whole', async () => {
    const web = write('whole.yaml', `extends: base.yaml\nname: whole\nreaction: ban\n`);
    expect((await assay(['policy', 'check', web])).code).toBe(0);
    expect((await assay(['policy', 'diff', at('base.yaml'), web])).out).toContain('ban');
    const { privateKey } = generateKeyPairSync('ed25519');
    const key = write('signer.key', String(privateKey.export({ type: 'pkcs8', format: 'pem' })));
    const signed = await assay(['policy', 'sign', web, '--key', key]);
    expect(parsePolicy(openPolicy(signed.out).text)).toMatchObject({ name: 'whole', reaction: 'ban' });
  });
});

test('a policy that ships needs no file', async () => {
  expect(await assay(['policy', 'check', 'assay:baseline'])).toMatchObject({
    code: 0,
    out: 'assay:baseline: policy baseline is valid, 0 PCR rules',
  });
  expect(await assay(['policy', 'check', 'assay:nothing'])).toMatchObject({
    code: 2,
    err: expect.stringContaining('no policy ships as assay:nothing; there are assay:baseline'),
  });
});
