import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { fromHex } from '../../../../core/bytes/encoding.ts';
import { concat, Writer } from '../../../../core/bytes/writer.ts';
import { ParseError } from '../../../../core/errors.ts';
import { digestSize, type HashName, hashAlgOf } from '../../../../core/tpm/constants.ts';
import type { PcrBanks } from '../../../../core/tpm/pcr-selection.ts';

/** What a boot of a virtual machine left behind its log: the values of PCR 0 to 23 in each bank. */
export interface BootVector {
  /** The directory of its log. */
  readonly log: string;
  readonly what: string;
  readonly events: number;
  readonly banks: readonly HashName[];
  readonly pcrsWithEvents: readonly number[];
  readonly pcrs: Readonly<Partial<Record<HashName, Readonly<Record<string, string>>>>>;
}

/** A changed copy of the log of a boot. */
export interface DoctoredVector {
  readonly base: string;
  readonly verdict: 'fail' | 'policy';
  readonly failing: readonly string[];
  readonly what: string;
  /** PCRs that no longer replay; null where the log cannot be read. */
  readonly mismatch: Readonly<Record<string, readonly number[]>> | null;
}

interface Index {
  readonly boots: Readonly<Record<string, BootVector>>;
  readonly doctored: Readonly<Record<string, DoctoredVector>>;
}

const ROOT = new URL('../../../vectors/eventlog/', import.meta.url);

export const index: Index = JSON.parse(readFileSync(new URL('boots.json', ROOT), 'utf8'));

function boot(name: string): BootVector {
  const found = index.boots[name];
  if (found === undefined) throw new Error(`no boot vector ${name}`);
  return found;
}

/** The log of a boot or a changed copy of one. */
export function logBytes(name: string): Uint8Array {
  const directory = index.boots[name]?.log ?? name;
  return new Uint8Array(readFileSync(new URL(`${directory}/binary_bios_measurements`, ROOT)));
}

/** The values of the registers behind a boot. */
export function pcrsOf(name: string): PcrBanks {
  const banks = new Map<HashName, ReadonlyMap<number, Uint8Array>>();
  for (const bank of ['sha1', 'sha256'] as const) {
    const values = boot(name).pcrs[bank];
    if (values === undefined) continue;
    banks.set(bank, new Map(Object.entries(values).map(([pcr, value]) => [Number(pcr), unhex(value)])));
  }
  return banks;
}

export const unhex = (hex: string): Uint8Array => fromHex(hex, 'vector');
export const ascii = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
export const utf16 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'utf16le'));

export interface EventParts {
  readonly pcr: number;
  readonly type: number;
  readonly data?: Uint8Array;
  /** By TPM_ALG_ID. */
  readonly digests?: readonly (readonly [alg: number, digest: Uint8Array])[];
}

/** TCG_PCClientPCREvent. */
export function legacyEvent({ pcr, type, data = new Uint8Array(), digests = [] }: EventParts): Uint8Array {
  const digest = digests[0]?.[1] ?? new Uint8Array(20);
  return new Writer().u32le(pcr).u32le(type).raw(digest).u32le(data.length).raw(data).bytes();
}

/** TCG_PCR_EVENT2. */
export function agileEvent({ pcr, type, data = new Uint8Array(), digests = [] }: EventParts): Uint8Array {
  const writer = new Writer().u32le(pcr).u32le(type).u32le(digests.length);
  for (const [alg, digest] of digests) writer.u16le(alg).raw(digest);
  return writer.u32le(data.length).raw(data).bytes();
}

/** The first event of a crypto-agile log. */
export function specId(
  algorithms: readonly (readonly [alg: number, size: number])[],
  { signature = 'Spec ID Event03\0', tail = Uint8Array.of(0), count = algorithms.length } = {},
): Uint8Array {
  const writer = new Writer()
    .raw(ascii(signature))
    .u32le(0)
    .raw(Uint8Array.of(0, 2, 0, 2))
    .u32le(count);
  for (const [alg, size] of algorithms) writer.u16le(alg).u16le(size);
  return legacyEvent({ pcr: 0, type: 3, data: writer.raw(tail).bytes() });
}

/** A log of one bank. */
export function agileLog(bank: HashName, ...events: readonly EventParts[]): Uint8Array {
  return concat(specId([[hashAlgOf(bank), digestSize(bank)]]), ...events.map(agileEvent));
}

/** The digests of an event of one bank. */
export function digests(bank: HashName, digest: Uint8Array): readonly (readonly [number, Uint8Array])[] {
  return [[hashAlgOf(bank), digest]];
}

/** The ParseError that `parse` throws. */
export function parseErrorOf(parse: () => unknown): Pick<ParseError, 'field' | 'offset' | 'rule'> {
  try {
    parse();
  } catch (error) {
    if (error instanceof ParseError) return { field: error.field, offset: error.offset, rule: error.rule };
    throw error;
  }
  return expect.unreachable('the input was accepted');
}
