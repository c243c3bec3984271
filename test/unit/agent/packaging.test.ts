import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../../agent/config.ts';
import { AgentFile } from '../../../agent/config-schema.ts';

const text = readFileSync(new URL('../../../packaging/systemd/agent.yaml', import.meta.url), 'utf8');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'packaging-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function load(content: string) {
  const file = join(folder, 'agent.yaml');
  writeFileSync(file, content);
  return loadConfig({ file });
}

/** Keys that stand in a comment become settings. */
const uncommented = text.replace(/^( *)# ([a-z-]+: \S.*)$/gm, '$1$2').replace('HOSTNAME\n', 'node-1\n');

test('the agent.yaml that ships is valid', () => {
  expect(load(text)).toMatchObject({
    registrar: 'https://assay.example.org:8891',
    tpm: 'device:/dev/tpmrm0',
  });
});

test('what its comments show as defaults are the defaults', () => {
  const { issuer, joinToken, ca, alias, contact, material, ...shown } = load(
    uncommented.replace(/^ca: .*$/m, '').replace(/^ {2}(user|group|on-change|on-revoke): .*$/gm, ''),
  );
  const built = load(text);
  expect(shown).toEqual(Object.fromEntries(Object.keys(shown).map((key) => [key, Reflect.get(built, key)])));
  expect(material).toEqual(built.material);
  expect([issuer, joinToken, alias, contact]).toEqual([
    'https://assay.example.org:8882',
    undefined,
    'node-1',
    { host: 'HOSTNAME', port: 9002 },
  ]);
  expect(ca).toEqual(built.ca);
});

test('every key that an agent knows is in it', () => {
  const sections = { material: AgentFile.properties.material, logs: AgentFile.properties.logs };
  for (const key of Object.keys(AgentFile.properties))
    expect(uncommented).toMatch(new RegExp(`^${key}:`, 'm'));
  for (const section of Object.values(sections)) {
    for (const key of Object.keys(section.properties))
      expect(uncommented).toMatch(new RegExp(`^  ${key}:`, 'm'));
  }
});
