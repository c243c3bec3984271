import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MS = 150;

/** Waits until `check` holds. It asks services, which must not be kept busy by it. */
export async function until(
  what: string,
  check: () => boolean | Promise<boolean>,
  timeoutMs = 45_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(PAUSE_MS);
  }
}
