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

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
