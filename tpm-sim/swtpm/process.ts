import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type NetConnectOpts } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AssayError } from '../../core/errors.ts';
import { exchange, SWTPM_CTRL, swtpmControl } from './control.ts';
import { findProgram } from './programs.ts';

const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 2_000;
const POLL_MS = 5;
/** sun_path holds 108 bytes with its NUL; the longest name below is `/ctrl.sock`. */
const LONGEST_SOCKET_DIR = 96;
const PORT_ATTEMPTS = 10;
const TPM2_STARTUP_CLEAR = Uint8Array.from([0x80, 0x01, 0, 0, 0, 0x0c, 0, 0, 0x01, 0x44, 0, 0]);
const TPM2_SHUTDOWN_CLEAR = Uint8Array.from([0x80, 0x01, 0, 0, 0, 0x0c, 0, 0, 0x01, 0x45, 0, 0]);
const RESPONSE_HEADER_BYTES = 10;
/** Somebody who holds the data connection keeps us waiting: they will send what we wanted to. */
const BUSY_TIMEOUT_MS = 150;

export interface StartOptions {
  readonly transport: 'unix' | 'tcp';
  /** TCP only: data port; the control port is the next one, as tpm2-tools expects. Free ones unless said. */
  readonly port?: number;
}

export interface RunningSwtpm {
  /** What `openTransport` takes. */
  readonly address: string;
  /** The same form, for the control channel. */
  readonly ctrl: string;
  readonly pid: number;
  /** Ends the TPM in order and waits until the process is gone. */
  stop(): Promise<void>;
  /** Power cycle: PCRs and loaded objects are gone, the reset count is one higher, the process stays. */
  reset(): Promise<void>;
  /** Takes the process away without warning and waits until it is gone. */
  kill(): Promise<void>;
}

interface Endpoints {
  readonly data: NetConnectOpts;
  readonly ctrl: NetConnectOpts;
  readonly arguments: readonly string[];
  readonly address: string;
  readonly ctrlAddress: string;
  /** Directory to remove when the TPM is gone. */
  readonly scratch: string | undefined;
}

/**
 * Starts swtpm on the state in `dir` and waits until it answers. The kernel kills it when this process
 * dies, however it dies. It runs in a session of its own, so Ctrl-C in a terminal does not reach it and
 * its user can close down in order.
 *
 * @throws {AssayError} `unavailable` when swtpm is missing or ends at once (a second one on the same
 *   state does), with the end of its log
 */
export async function startSwtpm(dir: string, options: StartOptions): Promise<RunningSwtpm> {
  const state = resolve(dir);
  const attempts = options.transport === 'tcp' && options.port === undefined ? PORT_ATTEMPTS : 1;
  for (let attempt = 1; ; attempt += 1) {
    const endpoints = await chooseEndpoints(state, options);
    try {
      return await launch(state, endpoints);
    } catch (error) {
      await removeScratch(endpoints);
      // Somebody may have taken the port between our look and swtpm's bind.
      const portTaken = error instanceof AssayError && /bind|address already in use/i.test(error.message);
      if (!portTaken || attempt >= attempts) throw error;
    }
  }
}

async function launch(state: string, endpoints: Endpoints): Promise<RunningSwtpm> {
  const log = join(state, 'swtpm.log');
  const death = ['--pdeathsig', 'KILL', '--', findProgram('swtpm'), 'socket', '--tpm2'];
  const files = ['--tpmstate', `dir=${state},mode=0600`, '--log', `file=${log},level=1,truncate`];
  const flags = ['--flags', 'not-need-init,startup-clear'];
  const child = spawn(findProgram('setpriv'), [...death, ...files, ...flags, ...endpoints.arguments], {
    stdio: 'ignore',
    detached: true,
  });
  const exited = once(child, 'exit');
  exited.catch(() => {});
  child.unref();
  try {
    await untilAnswering(child, endpoints.ctrl);
  } catch (error) {
    child.kill('SIGKILL');
    const output = await readFile(log, 'utf8').catch(() => '');
    const reason = output.trim().split('\n').slice(-3).join(' | ');
    throw new AssayError('unavailable', `swtpm did not start on ${state}: ${reason}`, { cause: error });
  }
  return handleOf(child, exited, endpoints);
}

function handleOf(child: ChildProcess, exited: Promise<unknown>, endpoints: Endpoints): RunningSwtpm {
  const gone = async (): Promise<void> => {
    child.ref();
    if (child.exitCode === null && child.signalCode === null) await exited;
    await removeScratch(endpoints);
  };
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await gone();
  };
  return {
    address: endpoints.address,
    ctrl: endpoints.ctrlAddress,
    pid: child.pid ?? 0,
    kill,
    async stop() {
      // As an operating system does; a TPM notes every power loss without it.
      await ifFree(endpoints.data, TPM2_SHUTDOWN_CLEAR);
      const impatience = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await swtpmControl(endpoints.ctrl, SWTPM_CTRL.SHUTDOWN).catch(() => {});
      await gone();
      clearTimeout(impatience);
    },
    async reset() {
      await ifFree(endpoints.data, TPM2_SHUTDOWN_CLEAR);
      await swtpmControl(endpoints.ctrl, SWTPM_CTRL.STOP);
      await swtpmControl(endpoints.ctrl, SWTPM_CTRL.INIT, 0);
      await ifFree(endpoints.data, TPM2_STARTUP_CLEAR);
    },
  };
}

/** swtpm serves one data connection at a time; a client of ours that holds it does the same by itself. */
async function ifFree(data: NetConnectOpts, command: Uint8Array): Promise<void> {
  await exchange(data, command, RESPONSE_HEADER_BYTES, BUSY_TIMEOUT_MS).catch(() => {});
}

async function untilAnswering(child: ChildProcess, ctrl: NetConnectOpts): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('the process ended');
    try {
      return await swtpmControl(ctrl, SWTPM_CTRL.GET_CONFIG);
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(POLL_MS);
    }
  }
}

async function chooseEndpoints(state: string, options: StartOptions): Promise<Endpoints> {
  if (options.transport === 'tcp') return tcpEndpoints(options.port ?? (await freePortPair()));
  const short = Buffer.byteLength(state) <= LONGEST_SOCKET_DIR;
  const scratch = short ? undefined : await mkdtemp(join(tmpdir(), 'tpm-'));
  const folder = scratch ?? state;
  const [data, ctrl] = [join(folder, 'tpm.sock'), join(folder, 'ctrl.sock')];
  await Promise.all([rm(data, { force: true }), rm(ctrl, { force: true })]);
  return {
    data: { path: data },
    ctrl: { path: ctrl },
    arguments: [
      '--server',
      `type=unixio,path=${data},mode=0600`,
      '--ctrl',
      `type=unixio,path=${ctrl},mode=0600`,
    ],
    address: `swtpm:unix:${data}`,
    ctrlAddress: `swtpm:unix:${ctrl}`,
    scratch,
  };
}

function tcpEndpoints(port: number): Endpoints {
  const host = '127.0.0.1';
  const at = (kind: string, number: number) => [kind, `type=tcp,port=${number},bindaddr=${host}`];
  return {
    data: { host, port },
    ctrl: { host, port: port + 1 },
    arguments: [...at('--server', port), ...at('--ctrl', port + 1)],
    address: `swtpm:tcp:${host}:${port}`,
    ctrlAddress: `swtpm:tcp:${host}:${port + 1}`,
    scratch: undefined,
  };
}

async function freePortPair(): Promise<number> {
  for (let attempt = 0; attempt < PORT_ATTEMPTS; attempt += 1) {
    const port = await tryPort(0);
    if (port !== undefined && port < 65_535 && (await tryPort(port + 1)) !== undefined) return port;
  }
  throw new AssayError('unavailable', 'found no two free neighbouring TCP ports for swtpm');
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => done(typeof address === 'object' ? address?.port : undefined));
    });
  });
}

async function removeScratch(endpoints: Endpoints): Promise<void> {
  if (endpoints.scratch !== undefined) await rm(endpoints.scratch, { recursive: true, force: true });
}
