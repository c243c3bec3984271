import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { crlFiles } from '../../../issuer/crl/file.ts';

let base = '';
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'assay-crl-'));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const crl = (number: bigint, text: string) => ({
  number,
  thisUpdate: new Date(0),
  nextUpdate: new Date(0),
  contentSha256: new Uint8Array(32),
  der: Buffer.from(text),
});

test('a CRL becomes a file of its group, in a directory that is made, and nothing else is left', async () => {
  const directory = join(base, 'made', 'crls');
  const write = crlFiles(directory);
  await write('web', crl(1n, 'first'));
  await write('db', crl(1n, 'other'));
  await write('web', crl(2n, 'second'));
  expect(readdirSync(directory).sort()).toEqual(['db.crl', 'web.crl']);
  expect(readFileSync(join(directory, 'web.crl'), 'utf8')).toBe('second');
});

test('a CRL is written once', async () => {
  const write = crlFiles(base);
  await write('web', crl(1n, 'first'));
  writeFileSync(join(base, 'web.crl'), 'touched');
  await write('web', crl(1n, 'first'));
  expect(readFileSync(join(base, 'web.crl'), 'utf8')).toBe('touched');
});

test('what could not be written is written at the next round', async () => {
  const directory = join(base, 'file');
  writeFileSync(directory, 'in the way');
  const write = crlFiles(directory);
  await expect(write('web', crl(1n, 'first'))).rejects.toThrow();
  rmSync(directory);
  await write('web', crl(1n, 'first'));
  expect(readFileSync(join(directory, 'web.crl'), 'utf8')).toBe('first');
});
