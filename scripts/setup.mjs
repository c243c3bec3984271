// Makes a fresh clone able to run: dependencies by the lockfile, then the system programs that were asked
// for. Plain JavaScript for whatever Node the machine has; everything after it runs on the packaged Node.
//
//   node scripts/setup.mjs [--needs swtpm,postgresql,redis] [-- FILE.ts ARGUMENTS…]
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const MINIMUM_NODE = 20;

// Program that shows a package is there -> Debian packages that bring it.
const SYSTEM = {
  swtpm: { programs: ['swtpm', 'swtpm_setup', 'swtpm_localca'], packages: ['swtpm', 'swtpm-tools'] },
  'tpm2-tools': { programs: ['tpm2_checkquote'], packages: ['tpm2-tools'] },
  qemu: {
    programs: [
      'qemu-system-x86_64',
      '/usr/share/OVMF/OVMF_CODE_4M.fd',
      'mmdebstrap',
      'cpio',
      'mke2fs',
      'dpkg-deb',
    ],
    packages: ['qemu-system-x86', 'ovmf', 'mmdebstrap', 'cpio', 'e2fsprogs', 'dpkg'],
  },
  openssl: { programs: ['openssl'], packages: ['openssl'] },
  postgresql: { programs: ['/usr/lib/postgresql'], packages: ['postgresql'] },
  redis: { programs: ['redis-server'], packages: ['redis-server'] },
};

main();

function main() {
  const { needs, command } = parseArguments(process.argv.slice(2));
  if (Number(process.versions.node.split('.')[0]) < MINIMUM_NODE) {
    stop(`Node ${MINIMUM_NODE} or newer is needed to start, this is ${process.version}.`);
  }
  installDependencies();
  installSystem(needs);
  if (command.length > 0) run(command);
}

function parseArguments(args) {
  const split = args.indexOf('--');
  const own = split < 0 ? args : args.slice(0, split);
  const needs = own[0] === '--needs' ? (own[1] ?? '').split(',').filter(Boolean) : [];
  const unknown = needs.find((name) => !(name in SYSTEM));
  if (unknown) stop(`unknown need "${unknown}", expected one of ${Object.keys(SYSTEM).join(', ')}`);
  return { needs, command: split < 0 ? [] : args.slice(split + 1) };
}

// npm ci deletes node_modules first, so it runs only when the lockfile is another than the installed one.
function installDependencies() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const stamp = join(root, 'node_modules', '.cache', 'assay-lock');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  if (!existsSync(join(root, 'node_modules', '.package-lock.json')) || existsSync(stamp)) {
    console.error('Installing dependencies by the lockfile (npm ci) …');
    const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: root,
      stdio: 'inherit',
    });
    if (npm.status !== 0) stop('npm ci failed; see its message above.');
  }
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, lock);
}

function installSystem(needs) {
  const missing = needs.filter((name) => !SYSTEM[name].programs.every(isThere));
  if (missing.length === 0) return;
  const packages = missing.flatMap((name) => SYSTEM[name].packages);
  const line = `apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  if (process.getuid?.() !== 0 || !isThere('apt-get')) {
    stop(
      `${missing.join(' and ')} missing. Type this once, then run the same command again:\n\n  sudo ${line}\n`,
    );
  }
  console.error(`Installing ${packages.join(', ')} …`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const shell = `apt-get update -qq && ${line} -qq -o DPkg::Lock::Timeout=300`;
  const apt = spawnSync('sh', ['-c', shell], { stdio: ['ignore', 'ignore', 'inherit'], env });
  if (apt.status !== 0) stop(`that failed; try it by hand:\n\n  ${line}\n`);
}

function isThere(program) {
  if (program.startsWith('/')) return existsSync(program);
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;
  return path.split(':').some((directory) => existsSync(join(directory, program)));
}

// The packaged Node runs TypeScript as it is; signals and the exit code pass through.
function run([file, ...args]) {
  const node = join(root, 'node_modules', '.bin', 'node');
  const program = existsSync(node) ? node : process.execPath;
  const child = spawn(program, [join(root, file), ...args], { stdio: 'inherit', cwd: process.cwd() });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal ?? 'SIGTERM']));
}

function stop(message) {
  console.error(message);
  process.exit(78);
}
