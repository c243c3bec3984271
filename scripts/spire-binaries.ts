// Prints the directory that has spire-server and spire-agent: SPIRE_BIN_DIR, or a cache that is filled by building them
// from the registry of Go modules (test/spire/binaries; some minutes the first time).
//
//   node scripts/spire-binaries.ts
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MODULE = fileURLToPath(new URL('../test/spire/binaries/', import.meta.url));
const PROGRAMS = ['spire-server', 'spire-agent'];

/** @throws {Error} when there are none and they cannot be built, with what to do */
export function spireBinaries(): string {
  const given = process.env.SPIRE_BIN_DIR;
  if (given) {
    const missing = PROGRAMS.filter((program) => !existsSync(join(given, program)));
    if (missing.length === 0) return given;
    throw new Error(`SPIRE_BIN_DIR is ${given}, and ${missing.join(' and ')} is not there`);
  }
  const directory = join(cacheDirectory(), 'assay', `spire-${versionOf()}`);
  if (!PROGRAMS.every((program) => existsSync(join(directory, program)))) build(directory);
  return directory;
}

/** Of the exact set of modules: another one is built anew. */
function versionOf(): string {
  const files = ['go.mod', 'go.sum'].map((file) => readFileSync(join(MODULE, file)));
  const hash = createHash('sha256');
  for (const file of files) hash.update(file);
  return hash.digest('hex').slice(0, 16);
}

function cacheDirectory(): string {
  return process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
}

function build(directory: string): void {
  const scratch = `${directory}.${process.pid}`;
  mkdirSync(scratch, { recursive: true });
  console.error(`Building spire-server and spire-agent into ${directory}; some minutes the first time …`);
  const go = spawnSync('go', ['build', '-mod=readonly', '-ldflags=-s -w', '-o', scratch, 'tool'], {
    cwd: MODULE,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, CGO_ENABLED: '1' },
  });
  if (go.status !== 0) {
    rmSync(scratch, { recursive: true, force: true });
    const why = go.error ? go.error.message : `go ended with ${go.status}`;
    throw new Error(
      `SPIRE cannot be built: ${why}. It needs Go 1.26.6 or newer and a C compiler; or set SPIRE_BIN_DIR to a directory with spire-server and spire-agent`,
    );
  }
  rmSync(directory, { recursive: true, force: true });
  renameSync(scratch, directory);
}

if (import.meta.filename === process.argv[1]) console.log(spireBinaries());
