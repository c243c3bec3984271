import { hash } from 'node:crypto';
import type { Finding } from '../../core/finding.ts';
import type { HashName } from '../../core/tpm/constants.ts';
import { bootFinding, eventFinding } from './finding.ts';
import type { MeasuredBoot, MeasuredEvent } from './measured.ts';

/**
 * Told by the digest and not by the type, which is not proven (PC Client Platform Firmware Profile, 3.3.2.2). Firmware
 * measures one into each of PCR 0 to 7 before it hands over: what stands before is of the firmware.
 */
interface SeparatorDigests {
  readonly end: ReadonlySet<string>;
  readonly error: string;
}

const FIRMWARE_PCRS = [0, 1, 2, 3, 4, 5, 6, 7];
const CACHE = new Map<HashName, SeparatorDigests>();

function separatorDigests(bank: HashName): SeparatorDigests {
  const known = CACHE.get(bank);
  if (known) return known;
  const of = (bytes: readonly number[]) => hash(bank, Uint8Array.from(bytes), 'hex');
  const made = {
    end: new Set([of([0, 0, 0, 0]), of([0xff, 0xff, 0xff, 0xff])]),
    error: of([1, 0, 0, 0]),
  };
  CACHE.set(bank, made);
  return made;
}

/** The events of a register before its first separator, and those behind it, without separators. */
export function splitEvents(
  boot: MeasuredBoot,
  pcr: number,
): { readonly before: readonly MeasuredEvent[]; readonly after: readonly MeasuredEvent[] } {
  const { end, error } = separatorDigests(boot.bank);
  const events = boot.events(pcr);
  const first = events.findIndex(({ digest }) => end.has(digest));
  const rest = (list: readonly MeasuredEvent[]) =>
    list.filter((event) => !end.has(event.digest) && !isError(event, pcr, error));
  return first < 0
    ? { before: rest(events), after: [] }
    : { before: rest(events.slice(0, first)), after: rest(events.slice(first + 1)) };
}

const BOOT_VARIABLES = 1;

/**
 * A boot order of 0001, 0000 has the same digest. Who calls an error by that name hides nothing: its separator is missing
 * then, and firmware that fails says so in every register.
 */
function isError({ digest, content }: MeasuredEvent, pcr: number, error: string): boolean {
  return digest === error && !(pcr === BOOT_VARIABLES && content.kind === 'variable-value');
}

/** Every register of the firmware was closed once, and the firmware could measure what it should. */
export function evaluateSeparators(boot: MeasuredBoot): Finding[] {
  return FIRMWARE_PCRS.flatMap((pcr) => evaluateSeparator(boot, pcr));
}

function evaluateSeparator(boot: MeasuredBoot, pcr: number): Finding[] {
  const { end, error } = separatorDigests(boot.bank);
  const status = boot.explained.get(pcr)?.status;
  // An unexplained register has its own finding.
  if (status === undefined || status === 'unexplained') return [];
  const events = boot.events(pcr);
  const failed = events.find((event) => isError(event, pcr, error));
  if (failed)
    return [
      eventFinding('log.event', pcr, failed, 'says that the firmware failed to measure what it should'),
    ];
  const count = events.filter(({ digest }) => end.has(digest)).length;
  if (count === 1) return [];
  const problem =
    count === 0 ? 'has no separator: the firmware did not end its part' : `has ${count} separators`;
  return [bootFinding('log.event', pcr, `PCR ${pcr} ${problem}, one expected`)];
}
