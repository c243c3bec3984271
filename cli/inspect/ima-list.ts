import { fromHex, printable, toHex } from '../../core/bytes/encoding.ts';
import { AssayError, ParseError } from '../../core/errors.ts';
import { parseImaAscii } from '../../core/ima/ascii.ts';
import { IMA_PCR, imaOfPcr, parseImaList } from '../../core/ima/binary.ts';
import { imaEntry } from '../../core/ima/entry.ts';
import type { ImaList } from '../../core/ima/list.ts';
import { type ImaExtendRule, type ImaReplay, imaStart, replayIma } from '../../core/ima/replay.ts';
import { digestSize, type HashName } from '../../core/tpm/constants.ts';
import { decodeBinary } from '../evidence-files/decode.ts';
import { type ImaForm, imaFormOf } from './ima-form.ts';

export interface InspectedImaEntry {
  readonly number: number;
  /** In the binary list. */
  readonly offset: number;
  readonly pcr: number;
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
  /** Hash of the template hashes in the list. */
  readonly hash: HashName;
  readonly entries: readonly InspectedImaEntry[];
  /** How many entries of each. */
  readonly templates: Readonly<Record<string, number>>;
  readonly violations: number;
  readonly signed: number;
  /** The first entry's digest, when it is boot_aggregate. */
  readonly bootAggregate: string | null;
  /** What the whole list leads PCR 10 to, by bank. */
  readonly replayed: Readonly<Record<string, string>>;
  /** Other registers that the kernel's policy named. */
  readonly others: readonly {
    readonly pcr: number;
    readonly entries: number;
    readonly replayed: Readonly<Record<string, string>>;
  }[];
  /** First entry whose own hash is not that of its data; null when all are. */
  readonly wrongHash: number | null;
  /** Where a value was asked for: how many entries of PCR 10 lead to it; null when no number of them does. */
  readonly leadsTo: {
    readonly bank: string;
    readonly pcr10: string;
    readonly entries: number | null;
    readonly of: number;
    /** `padded-sha1`: as kernels before 5.8 extend other banks. */
    readonly rule: ImaExtendRule | null;
  } | null;
}

export interface ImaQuestion {
  readonly bank: HashName;
  /** Hex: how many entries lead to it? */
  readonly pcr10?: string;
}

const BANKS: readonly HashName[] = ['sha1', 'sha256', 'sha384', 'sha512'];

/** @throws {AssayError} `malformed`, with the entry and the place in the file; `invalid-request` for a value that is none */
export function inspectImaList(
  bytes: Uint8Array,
  file: string,
  { bank, pcr10 }: ImaQuestion,
): InspectedImaList {
  const wanted = pcr10 === undefined ? undefined : readValue(pcr10, bank);
  const content = decodeBinary(bytes);
  const { form, hash } = imaFormOf(content);
  const list = parse(content, { form, hash }, file);
  const entries = Array.from({ length: list.length }, (_, index) => inspected(list, index));
  const pcrs = new Set(entries.map(({ pcr }) => pcr));
  const ofPcr = (pcr: number) => (pcrs.size === 1 && pcrs.has(pcr) ? list : imaOfPcr(list, pcr));
  const main = ofPcr(IMA_PCR);
  const [first] = entries;
  return {
    ...{ form, hash, entries, templates: countBy(entries.map(({ template }) => template)) },
    violations: entries.filter(({ violation }) => violation).length,
    signed: entries.filter(({ signed }) => signed).length,
    bootAggregate: first?.name === 'boot_aggregate' ? first.digest : null,
    replayed: replayed(main),
    others: [...pcrs]
      .filter((pcr) => pcr !== IMA_PCR)
      .map((pcr) => {
        const other = ofPcr(pcr);
        return { pcr, entries: other.length, replayed: replayed(other) };
      }),
    wrongHash: replay(list, 'sha256').firstWrongHash ?? null,
    leadsTo: wanted ? { bank, pcr10: toHex(wanted), of: main.length, ...leadsTo(main, bank, wanted) } : null,
  };
}

function replayed(list: ImaList): Readonly<Record<string, string>> {
  const values = BANKS.map(
    (name) => [name, toHex(replay(list, name).state.pcrs.get(name) ?? new Uint8Array())] as const,
  );
  return Object.fromEntries(values);
}

function leadsTo(list: ImaList, bank: HashName, wanted: Uint8Array) {
  for (const rule of ['template-hash', 'padded-sha1'] as const) {
    const { covered } = replay(list, bank, wanted, rule);
    if (covered !== undefined) return { entries: covered, rule };
  }
  return { entries: null, rule: null };
}

function parse(bytes: Uint8Array, { form, hash }: ImaForm, file: string): ImaList {
  const options = { hash, pcr: 'any' } as const;
  try {
    return form === 'text' ? parseImaAscii(bytes, options) : parseImaList(bytes, options);
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
  const { offset, pcr, template, digest, name, violation, fields } = imaEntry(list, index);
  return {
    ...{ number: index, offset, pcr, template: template.name, violation },
    digest: digest ? `${digest.algo}:${toHex(digest.value)}` : null,
    name: printable(name),
    signed: (fields.get('sig')?.length ?? 0) > 0 || (fields.get('modsig')?.length ?? 0) > 0,
  };
}

function replay(list: ImaList, bank: HashName, until?: Uint8Array, rule?: ImaExtendRule): ImaReplay {
  // A value that nothing leads to: all of the list is replayed.
  const never = new Uint8Array(digestSize(bank)).fill(0xff);
  return replayIma(list, imaStart([bank]), new Map([[bank, until ?? never]]), rule);
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return Object.fromEntries(counts);
}
