import { randomInt } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';

/** Moves an installation that `assay init` made to free ports: those of a real one may be in use on this machine. */
export async function useFreePorts(files: readonly string[]): Promise<void> {
  const free = new Map<string, string>();
  for (const port of ['8891', '8881', '8882']) free.set(port, String(await freePort()));
  for (const file of files) {
    const text = await readFile(file, 'utf8');
    await writeFile(
      file,
      text.replace(/:(8891|8881|8882)\b/g, (_all, port: string) => `:${free.get(port)}`),
    );
  }
}

const LOWEST = 10_240;
const HIGHEST = 65_535;

/**
 * A port of loopback, outside the range that the kernel gives to outgoing connections where there is one: nobody takes it by chance
 * between this answer and the listener, or while a process is started again.
 */
export async function freePort(): Promise<number> {
  const { first, last } = await ephemeralRange();
  const outside = (port: number) => port < first || port > last;
  const isAny = outside(LOWEST) || outside(HIGHEST);
  for (;;) {
    const port = randomInt(LOWEST, HIGHEST + 1);
    if (isAny && !outside(port)) continue;
    if (await isFree(port)) return port;
  }
}

/** What Linux says; its default where it does not. */
async function ephemeralRange(): Promise<{ readonly first: number; readonly last: number }> {
  const text = await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').catch(() => '32768 60999');
  const [first = 32_768, last = 60_999] = text.trim().split(/\s+/).map(Number);
  return { first, last };
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
