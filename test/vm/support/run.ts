import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const SHOWN_LINES = 12;

/** Runs a program to its end. @throws {Error} with the end of what it said, when it fails or takes longer */
export async function run(
  program: string,
  args: readonly string[],
  { cwd, timeoutMs = 60_000 }: { readonly cwd?: string; readonly timeoutMs?: number } = {},
): Promise<string> {
  try {
    const options = {
      timeout: timeoutMs,
      maxBuffer: 64 * 1024 * 1024,
      ...(cwd === undefined ? {} : { cwd }),
    };
    return (await execute(program, args, options)).stdout;
  } catch (cause) {
    const { stdout, stderr, killed } = cause as { stdout?: string; stderr?: string; killed?: boolean };
    const said = `${stdout ?? ''}\n${stderr ?? ''}`.trim().split('\n').slice(-SHOWN_LINES).join('\n');
    const why = killed === true ? `did not end within ${timeoutMs} ms` : 'failed';
    throw new Error(`${program} ${args[0] ?? ''} ${why}:\n${said}`, { cause });
  }
}
