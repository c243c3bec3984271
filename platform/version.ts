import { readFileSync } from 'node:fs';

/** The version of this program: set by the bundler, read from package.json in a checkout. */
export const version: string = process.env.ASSAY_VERSION ?? readVersion();

function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const parsed: { version?: string } = JSON.parse(text);
  return parsed.version ?? '0.0.0';
}
