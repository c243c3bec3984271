import { fromHex, printable, toHex } from '../../core/bytes/encoding.ts';
import { AssayError, ParseError } from '../../core/errors.ts';
import { parseImaAscii } from '../../core/ima/ascii.ts';
import { parseImaList } from '../../core/ima/binary.ts';
import { imaEntry } from '../../core/ima/entry.ts';
import type { ImaList } from '../../core/ima/list.ts';
import { type ImaReplay, imaStart, replayIma } from '../../core/ima/replay.ts';
import { digestSize, type HashName } from '../../core/tpm/constants.ts';

export interface InspectedImaEntry {
  readonly number: number;
  /** In the binary list. */
  readonly offset: number;
  readonly template: string;
  /** `sha256:…`; null for a violation, and where the template has none. */
  readonly digest: string | null;
  /** Escaped. */
  readonly name: string;
  readonly violation: boolean;
  readonly signed: boolean;
}

export interface InspectedImaList {
  readonly form: 'binary' | 'text';
  readonly entries: readonly InspectedImaEntry[];
  /** How many entries of each. */
  readonly templates: Readonly<Record<string, number>>;
  readonly violations: number;
  readonly signed: number;
  /** The first entry's digest, when it is boot_aggregate. */
  readonly bootAggregate: string | null;
  /** What the whole list leads PCR 10 to, by bank. */
  readonly replayed: Readonly<Record<string, string>>;
  /** First entry whose own hash is not that of its data; null when all are. */
  readonly wrongHash: number | null;
  /** Where a value was asked for: how many entries lead to it; null when no number of them does. */
  readonly leadsTo: { readonly bank: string; readonly pcr10: string; readonly entries: number | null } | null;
}

export interface ImaQuestion {
  readonly bank: HashName;
  /** Hex: how many entries lead to it? */
  readonly pcr10?: string;
}

const BANKS: readonly HashName[] = ['sha1', 'sha256', 'sha384', 'sha512'];
const SPACE = 0x20;

/** @throws {AssayError} `malformed`, with the entry and the place in the file; `invalid-request` for a value that is none */
export function inspectImaList(
  bytes: Uint8Array,
  file: string,
  { bank, pcr10 }: ImaQuestion,
): InspectedImaList {
  const wanted = pcr10 === undefined ? undefined : readValue(pcr10, bank);
  // A text begins with the register, two digits and a space; a binary list with the register in 32 bits.
  const form = bytes[2] === SPACE ? 'text' : 'binary';
  const list = parse(bytes, form, file);
  const entries = Array.from({ length: list.length }, (_, index) => inspected(list, index));
  const replays = new Map(BANKS.map((name) => [name, replay(list, name)]));
  const found = wanted && replay(list, bank, wanted).covered;
  const [first] = entries;
  return {
    ...{ form, entries, templates: countBy(entries.map(({ template }) => template)) },
    violations: entries.filter(({ violation }) => violation).length,
    signed: entries.filter(({ signed }) => signed).length,
    bootAggregate: first?.name === 'boot_aggregate' ? first.digest : null,
    replayed: Object.fromEntries(
      [...replays].map(([name, { state }]) => [name, toHex(state.pcrs.get(name) ?? new Uint8Array())]),
    ),
    wrongHash: replays.get('sha256')?.firstWrongHash ?? null,
    leadsTo: wanted ? { bank, pcr10: toHex(wanted), entries: found ?? null } : null,
  };
}

function parse(bytes: Uint8Array, form: 'binary' | 'text', file: string): ImaList {
  try {
    return form === 'text' ? parseImaAscii(bytes) : parseImaList(bytes);
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    throw new AssayError('malformed', `${file} is no measurement list that can be read: ${error.message}`);
  }
}

function readValue(text: string, bank: HashName): Uint8Array {
  const size = 2 * digestSize(bank);
  if (new RegExp(`^[0-9a-f]{${size}}$`, 'i').test(text)) return fromHex(text.toLowerCase(), 'pcr10');
  throw new AssayError(
    'invalid-request',
    `--pcr10 has ${text.length} characters, ${size} hex digits are expected for ${bank}`,
  );
}

function inspected(list: ImaList, index: number): InspectedImaEntry {
  const { offset, template, digest, name, violation, fields } = imaEntry(list, index);
  return {
    ...{ number: index, offset, template: template.name, violation },
    digest: digest ? `${digest.algo}:${toHex(digest.value)}` : null,
    name: printable(name),
    signed: (fields.get('sig')?.length ?? 0) > 0 || (fields.get('modsig')?.length ?? 0) > 0,
  };
}

function replay(list: ImaList, bank: HashName, until?: Uint8Array): ImaReplay {
  // A value that nothing leads to: all of the list is replayed.
  const never = new Uint8Array(digestSize(bank)).fill(0xff);
  return replayIma(list, imaStart([bank]), new Map([[bank, until ?? never]]));
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return Object.fromEntries(counts);
}
