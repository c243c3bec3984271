import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { findProgram } from '../../../tpm-sim/swtpm/programs.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const STOP_MS = 15_000;
const SHOWN_LINES = 20;
const SHOWN_CHARACTERS = 400;

/** A program of this repository in a process of its own, its output in a file. The kernel ends it when we end. */
export class ServiceProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #log: string;

  private constructor(name: string, child: ChildProcess, log: string) {
    this.name = name;
    this.#child = child;
    this.#exited = once(child, 'exit');
    this.#log = log;
  }

  static start(name: string, args: readonly string[], log: string): ServiceProcess {
    const output = openSync(log, 'a', 0o600);
    const program = ['--pdeathsig', 'KILL', '--', process.execPath, ...args];
    const child = spawn(findProgram('setpriv'), program, { cwd: ROOT, stdio: ['ignore', output, output] });
    return new ServiceProcess(name, child, log);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** No chance to close anything: SIGKILL. */
  async kill(): Promise<void> {
    if (this.running) this.#child.kill('SIGKILL');
    if (this.running) await this.#exited;
  }

  async stop(): Promise<void> {
    if (!this.running) return;
    const impatience = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    this.#child.kill('SIGTERM');
    await this.#exited;
    clearTimeout(impatience);
  }

  text(): Promise<string> {
    return readFile(this.#log, 'utf8').catch(() => '');
  }

  /** The end of what it said, for a test that failed. */
  async lastWords(): Promise<string> {
    const lines = (await this.text()).trimEnd().split('\n').slice(-SHOWN_LINES);
    const shown = lines.map((line) => line.slice(0, SHOWN_CHARACTERS)).join('\n');
    return `--- ${this.name} (${this.#log})\n${shown}`;
  }
}
