import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { destroyFile, destroyLeftovers, replaceFile } from '../../../agent/files.ts';

let folder: string;
const path = () => join(folder, 'node.pem');

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'files-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('key.files: a new file is 0600, whatever the umask is', async () => {
  const before = process.umask(0);
  try {
    await replaceFile(path(), 'secret');
  } finally {
    process.umask(before);
  }
  expect((await stat(path())).mode & 0o777).toBe(0o600);
});

test('the mode can be another, and the owner is set', async () => {
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  await replaceFile(path(), 'public', { mode: 0o644, owner });
  expect(await stat(path())).toMatchObject({ uid: owner.uid, gid: owner.gid });
  expect((await stat(path())).mode & 0o777).toBe(0o644);
});

test('a reader sees the old content or the new one, never a part or nothing', async () => {
  const contents = ['a', 'b'].map((letter) => letter.repeat(200_000));
  await replaceFile(path(), contents[0] ?? '');
  let writing = true;
  let reads = 0;
  const reader = (async () => {
    while (writing) {
      const text = await readFile(path(), 'utf8');
      expect(contents).toContain(text);
      reads += 1;
    }
  })();
  for (let i = 0; i < 60; i += 1) await replaceFile(path(), contents[i % 2] ?? '');
  writing = false;
  await reader;
  expect(reads).toBeGreaterThan(5);
  expect(await readdir(folder)).toEqual(['node.pem']);
});

test('a file that cannot be made leaves the old one and nothing else', async () => {
  await replaceFile(path(), 'old');
  const strange = { uid: -7, gid: -7 };
  await expect(replaceFile(path(), 'new', { owner: strange })).rejects.toThrow();
  expect(await readFile(path(), 'utf8')).toBe('old');
  expect(await readdir(folder)).toEqual(['node.pem']);
});

test('revoke.destroy: the bytes are overwritten, not only unlinked', async () => {
  await replaceFile(path(), 'secret');
  // A second name of the same bytes shows what became of them.
  const { link } = await import('node:fs/promises');
  const witness = join(folder, 'witness');
  await link(path(), witness);
  expect(await destroyFile(path())).toBe(true);
  expect(await readFile(witness)).toEqual(Buffer.alloc(6));
  expect(await readdir(folder)).toEqual(['witness']);
});

test('a file that is not there is as good as destroyed', async () => {
  expect(await destroyFile(path())).toBe(false);
});

test('a link is taken away without touching what it leads to', async () => {
  const victim = join(folder, 'victim');
  await writeFile(victim, 'precious');
  await symlink(victim, path());
  await expect(destroyFile(path())).rejects.toThrow(/ELOOP|symbolic/);
  expect(await readFile(victim, 'utf8')).toBe('precious');
  expect(await readdir(folder)).toEqual(['victim']);
});

test('leftovers of an interrupted run are destroyed, other files are not', async () => {
  await writeFile(join(folder, '.node.pem.0123456789abcdef.tmp'), 'key');
  await writeFile(join(folder, '.hidden'), 'x');
  await destroyLeftovers(folder);
  expect(await readdir(folder)).toEqual(['.hidden']);
});
