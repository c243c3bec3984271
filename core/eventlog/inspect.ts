import { printable, toHex } from '../bytes/encoding.ts';
import { type HashName, PCR_COUNT } from '../tpm/constants.ts';
import { bankName } from './bank-names.ts';
import { type CelLog, type CelRecord, parseCelLog } from './cel.ts';
import { recordContent } from './cel-content.ts';
import { eventContent } from './content/content.ts';
import type { EventContent } from './content/types.ts';
import { describeContent } from './describe.ts';
import { describeImaTemplate } from './describe-ima.ts';
import type { EventDigest, EventLog, LogBank, RegisterKind } from './event.ts';
import { EV } from './event-type.ts';
import { parseEventLog } from './parse.ts';
import { registerName, tdxRegisterOf } from './registers.ts';
import { type Replay, replayEventLog, replayLogs } from './replay.ts';
import { replayOther } from './replay-other.ts';

/** An event of any log, to look at. */
export interface InspectedEvent {
  readonly number: number;
  /** `PCR 7`, what a TD calls its register, or the NV index of an NvPCR; null for what extends none. */
  readonly register: string | null;
  readonly type: string;
  /** By bank. */
  readonly digests: Readonly<Record<string, string>>;
  /** In words, escaped. */
  readonly says: string;
  /** Whether the digest is of what it says; where not, anybody could have written that. */
  readonly proven: boolean;
  /** What the digest is of (docs/evidence.md). */
  readonly covers: string;
  /** Why nothing is proven. */
  readonly why: string | null;
}

/** A log, to look at. */
export interface InspectedEventLog {
  readonly format: 'crypto-agile' | 'sha1' | 'canonical';
  readonly banks: readonly string[];
  readonly events: readonly InspectedEvent[];
  /** Values that the log leads to, by bank and register; registers that it never extends are left out. */
  readonly replayed: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly warnings: readonly { readonly code: string; readonly offset: number; readonly message: string }[];
}

const OPENING = new Set([0x1e, 0x5b, 0x7b]);

/**
 * Reads a boot log of any kind to look at: of the firmware (also a Windows WBCL or a CCEL), or a canonical one in JSON. One
 * that is cut is shown as far as it goes, with a warning. Nothing here decides anything.
 *
 * @param registers where the log does not tell itself whose they are
 * @throws {ParseError} with the place in the log
 */
export function inspectEventLog(bytes: Uint8Array, registers?: RegisterKind): InspectedEventLog {
  const first = bytes.find((byte) => byte > 0x20 || byte === 0x1e);
  const isJson = first !== undefined && OPENING.has(first);
  const options = { tolerateTruncation: true, registers: registers ?? 'pcr' } as const;
  if (isJson)
    return canonical(parseCelLog(bytes, { ...options, registers: registers ?? celRegisters(bytes) }));
  const log = parseEventLog(bytes, options);
  const isTdx = registers === undefined && measuresAsTdx(log);
  return firmware(isTdx ? parseEventLog(bytes, { ...options, registers: 'tdx' }) : log);
}

/** systemd logs what it measured in a TD with `rtmr` in place of `pcr` (cc-measure.log). */
function celRegisters(bytes: Uint8Array): RegisterKind {
  const start = Buffer.from(bytes.subarray(0, 4096)).toString('latin1');
  return /^[^{]*\{[^{}[\]]*"rtmr"\s*:/.test(start) ? 'tdx' : 'pcr';
}

const TDX_REGISTERS = 5;
const TDX_SECURE_BOOT = tdxRegisterOf(7);

/** SecureBoot is the first variable that firmware measures: of a TPM in PCR 7, of a TD in the register for that. */
function measuresAsTdx({ events }: EventLog): boolean {
  const first = events.find(({ type }) => type === EV.EFI_VARIABLE_DRIVER_CONFIG);
  const fits = events.every(({ pcr, type }) => pcr < TDX_REGISTERS || type === EV.NO_ACTION);
  return fits && first?.pcr === TDX_SECURE_BOOT;
}

function firmware(log: EventLog): InspectedEventLog {
  return {
    format: log.format,
    banks: log.banks.map(bankName),
    events: log.events.map((event) =>
      inspected(
        { number: event.index, type: event.typeName, digests: event.digests },
        isRegister(log, event.pcr) ? registerName(log.registers, event.pcr) : null,
        eventContent(event, bestBank(event.digests)),
      ),
    ),
    replayed: valuesOf(replayEventLog(log), log.banks),
    warnings: log.warnings,
  };
}

function isRegister({ registers }: EventLog, index: number): boolean {
  return index < (registers === 'tdx' ? TDX_REGISTERS : PCR_COUNT);
}

function canonical(log: CelLog): InspectedEventLog {
  return {
    format: 'canonical',
    banks: log.banks.map(bankName),
    events: log.records.map((record) => inspectedRecord(record, log.registers)),
    replayed: valuesOf(replayLogs(undefined, log), log.banks),
    warnings: log.warnings,
  };
}

function inspectedRecord(record: CelRecord, registers: RegisterKind): InspectedEvent {
  const { index, digests, content } = record;
  const event = inspected(
    { number: index, type: recordType(record), digests },
    placeOf(record, registers),
    recordContent(record, bestBank(digests)),
  );
  if (content.type !== 'ima') return event;
  return { ...event, says: describeImaTemplate(content.templateName, content.templateData) };
}

function recordType({ content, contentType }: CelRecord): string {
  if (content.type === 'pcclient') return content.event.typeName;
  return content.type === 'ima'
    ? `${contentType} ${printable(content.templateName)}`
    : printable(contentType);
}

function placeOf({ pcr, nvIndex }: CelRecord, registers: RegisterKind): string | null {
  if (pcr !== undefined) return registerName(registers, pcr);
  return nvIndex === undefined ? null : `NV 0x${nvIndex.toString(16)}`;
}

interface Named {
  readonly number: number;
  readonly type: string;
  readonly digests: readonly EventDigest[];
}

function inspected(
  { number, type, digests }: Named,
  register: string | null,
  content: EventContent,
): InspectedEvent {
  return {
    ...{ number, register, type },
    digests: Object.fromEntries(digests.map(({ bank, digest }) => [bankName(bank), toHex(digest)])),
    says: describeContent(content),
    proven: content.verified,
    covers: content.covers,
    why: content.verified ? null : content.why,
  };
}

const PREFERRED: readonly HashName[] = ['sha256', 'sha384', 'sha512', 'sha1'];

/** What the digests of an event cover is the same in all banks; it is looked at in one. */
function bestBank(digests: readonly EventDigest[]): HashName {
  return PREFERRED.find((name) => digests.some(({ bank }) => bank.hash === name)) ?? 'sha256';
}

function valuesOf({ input, values }: Replay, banks: readonly LogBank[]): InspectedEventLog['replayed'] {
  const all = banks.flatMap((bank) => {
    const registers = bank.hash === undefined ? replayOther(input, bank) : values.get(bank.hash);
    return registers === undefined ? [] : [[bankName(bank), registers] as const];
  });
  const named = all.map(([bank, registers]) => {
    const extended = [...registers].filter(([register]) => input.extends.has(register));
    const shown = extended.map(([register, value]) => [
      registerName(input.registers, register),
      toHex(value),
    ]);
    return [bank, Object.fromEntries(shown)] as const;
  });
  return Object.fromEntries(named);
}
