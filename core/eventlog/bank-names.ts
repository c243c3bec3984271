import type { LogBank } from './event.ts';

/** Hashes of the TCG Algorithm Registry that nothing here computes, and the size of their digests. */
export const OTHER_HASHES = {
  'sm3-256': { alg: 0x0012, bytes: 32 },
  'sha3-256': { alg: 0x0027, bytes: 32 },
  'sha3-384': { alg: 0x0028, bytes: 48 },
  'sha3-512': { alg: 0x0029, bytes: 64 },
} as const;

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(OTHER_HASHES).map(([name, { alg }]) => [alg, name]),
);

/** What a bank is called, such as `sha256`; `0x…` for an algorithm that the registry does not have. */
export function bankName({ hash, alg }: Pick<LogBank, 'hash' | 'alg'>): string {
  return hash ?? NAMES.get(alg) ?? `0x${alg.toString(16).padStart(4, '0')}`;
}
