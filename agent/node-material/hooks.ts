import { spawn } from 'node:child_process';

/** A list is run as it is; a text is given to /bin/sh, because somebody wrote it so. */
export type HookCommand = readonly string[] | string;

export interface HookOptions {
  readonly timeoutMs: number;
  /** The whole environment besides PATH: a hook inherits nothing of ours. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface HookResult {
  readonly ok: boolean;
  /** What went wrong, in words. */
  readonly message?: string;
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Runs a command to its end, or kills it with all it started when it takes too long. Never throws. */
export function runHook(command: HookCommand, options: HookOptions): Promise<HookResult> {
  const [program, ...args] = typeof command === 'string' ? ['/bin/sh', '-c', command] : command;
  if (program === undefined) return Promise.resolve({ ok: false, message: 'the command is empty' });
  return new Promise((done) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { PATH, ...options.environment },
      // A group of its own, so that what the command started can be ended with it.
      detached: true,
    });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      killGroup(child.pid);
    }, options.timeoutMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      done({ ok: false, message: `could not be started: ${error.message}` });
    });
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) done({ ok: true });
      else if (late) done({ ok: false, message: `took longer than ${options.timeoutMs / 1000} s` });
      else done({ ok: false, message: `ended with ${code ?? signal}` });
    });
  });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended by itself in between.
  }
}
