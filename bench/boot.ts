import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { concat, Writer } from '../core/bytes/writer.ts';
import { EV, parseEventLog, replayEventLog } from '../core/eventlog/index.ts';
import { hashAlgOf } from '../core/tpm/constants.ts';
import { resolveBoot } from '../policies/boot/boot-rules.ts';
import { bootKey, evaluateBoot, sentLog } from '../policies/boot/evaluate.ts';
import { parsePolicy } from '../policies/language/parse.ts';
import { measurePaired, type Paired } from './measure.ts';

export interface BootBench {
  readonly events: number;
  /** A boot that was never seen: hashed, parsed, replayed, explained, judged; beside the same digests extended alone. */
  readonly firstSight: Paired;
  /** One that was judged before: hashed and looked up. */
  readonly seen: Paired;
}

const EVENTS = 120;
const BANK = 'sha256';
const LOG = new URL('../test/vectors/eventlog/sb-clean-1/binary_bios_measurements', import.meta.url);
const PROFILE = new URL('../policies/profiles/debian-shim-grub.yaml', import.meta.url);

/** The boot of a Debian machine with Secure Boot, made longer by configuration that firmware measures. */
export function benchBoot(rounds: number): BootBench {
  const { pcrs, boot } = parsePolicy(readFileSync(PROFILE, 'utf8'));
  if (!boot || boot.profile === 'no-log') throw new Error('the profile does not judge the boot');
  const policy = resolveBoot(boot, new Map());
  const bytes = longLog();
  const log = parseEventLog(bytes);
  const all = replayEventLog(log).values.get(BANK) ?? new Map<number, Uint8Array>();
  const quote = {
    bank: BANK,
    pcrs: new Map([...all].filter(([pcr]) => pcrs.selection.includes(pcr))),
  } as const;
  const firstSight = () => {
    const { findings } = evaluateBoot({ pcrs, policy, quote, evidence: { firmware: sentLog(bytes) } });
    if (findings.length > 0) throw new Error(`the boot was refused: ${findings[0]?.message}`);
  };
  const known = new Set([bootKey({ quote, evidence: { firmware: sentLog(bytes) } })]);
  const seen = () => {
    if (!known.has(bootKey({ quote, evidence: { firmware: sentLog(bytes) } })))
      throw new Error('it is not known');
  };
  const extend = () => {
    const buffer = new Uint8Array(64);
    for (let event = 0; event < log.events.length; event += 1) buffer.set(hash(BANK, buffer, 'buffer'));
  };
  return {
    events: log.events.length,
    firstSight: measurePaired(firstSight, extend, rounds),
    seen: measurePaired(seen, extend, rounds),
  };
}

function longLog(): Uint8Array {
  const bytes = new Uint8Array(readFileSync(LOG));
  const missing = EVENTS - parseEventLog(bytes).events.length;
  return concat(bytes, ...Array.from({ length: missing }, (_, index) => configuration(index)));
}

/** TCG_PCR_EVENT2 of an action in PCR 5, which no rule looks at. */
function configuration(index: number): Uint8Array {
  const data = Buffer.from(`Configuration of device ${index}, as firmware writes it down at length`);
  const writer = new Writer().u32le(5).u32le(EV.EFI_ACTION).u32le(2);
  for (const bank of ['sha1', BANK] as const) writer.u16le(hashAlgOf(bank)).raw(hash(bank, data, 'buffer'));
  return writer.u32le(data.length).raw(data).bytes();
}
