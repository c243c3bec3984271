import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** The openssl command over files of one test file, which are removed at its end. */
export class Openssl {
  readonly #directory = mkdtempSync(join(tmpdir(), 'assay-x509-'));

  constructor() {
    afterAll(() => rmSync(this.#directory, { recursive: true, force: true }));
  }

  /** Path of a new file. */
  file(name: string, content: string | Uint8Array): string {
    const path = join(this.#directory, name);
    writeFileSync(path, content);
    return path;
  }

  /** Exit code zero or not, and everything it said. */
  run(...args: readonly string[]): { readonly ok: boolean; readonly output: string } {
    const { status, stdout, stderr } = spawnSync('openssl', [...args], { encoding: 'utf8', timeout: 10_000 });
    if (status === null) throw new Error('openssl did not run');
    return { ok: status === 0, output: `${stdout}${stderr}` };
  }

  /** Standard output. @throws for any other exit code than zero */
  text(...args: readonly string[]): string {
    return execFileSync('openssl', [...args], { encoding: 'utf8', timeout: 10_000 });
  }
}
