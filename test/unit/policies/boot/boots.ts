import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { concat } from '../../../../core/bytes/writer.ts';
import type { LogEvent } from '../../../../core/eventlog/event.ts';
import { parseEventLog, replayEventLog } from '../../../../core/eventlog/index.ts';
import { marshalTpmsAttest } from '../../../../core/tpm/attest.ts';
import { appraiseQuote } from '../../../../core/tpm/quote.ts';
import { marshalTpmtSignature } from '../../../../core/tpm/signature.ts';
import { appraise, type BootMemo } from '../../../../policies/appraise.ts';
import { sentLog } from '../../../../policies/boot/evaluate.ts';
import type { DigestSet } from '../../../../policies/digests/digest-set.ts';
import { parsePolicy } from '../../../../policies/language/parse.ts';
import type { Verdict } from '../../../../policies/verdict.ts';
import { agileLog, digests, type EventParts, logBytes, pcrsOf, unhex } from '../../core/eventlog/vectors.ts';
import { attestation, NONCE, signWith, softwareEcc } from '../../core/tpm/software-key.ts';

const BANK = 'sha256';

/** What a node shows of a boot. */
export interface Boot {
  readonly log: Uint8Array | undefined;
  readonly values: ReadonlyMap<number, Uint8Array>;
  readonly userspace?: Uint8Array;
}

/** A boot as it was recorded; with the log of another one, as a node that lies. */
export function recorded(name: string, log = name): Boot {
  return { log: logBytes(log), values: valuesOf(pcrsOf(name)) };
}

/** What a machine would show that had measured other events: the log and the registers fit. */
export function measuring(name: string, edit: (events: Event[]) => readonly Event[]): Boot {
  const events = parseEventLog(logBytes(name)).events.slice(1).map(eventOf);
  const log = agileLog(BANK, ...edit(events).map(partsOf));
  return { log, values: valuesOf(replayEventLog(parseEventLog(log)).values) };
}

/** An event in one bank. */
export interface Event {
  readonly pcr: number;
  readonly type: number;
  readonly data: Uint8Array;
  /** Hex. */
  readonly digest: string;
}

function eventOf({ pcr, type, data, digests: all }: LogEvent): Event {
  const digest = all.find(({ bank }) => bank.hash === BANK)?.digest ?? new Uint8Array();
  return { pcr, type, data, digest: Buffer.from(digest).toString('hex') };
}

function partsOf({ pcr, type, data, digest }: Event): EventParts {
  return { pcr, type, data, digests: digests(BANK, unhex(digest)) };
}

/** An event whose digest is of its data. */
export function event(pcr: number, type: number, data: Uint8Array): Event {
  return { pcr, type, data, digest: hash(BANK, data, 'hex') };
}

/** An event whose digest is of something else. */
export function opaque(pcr: number, type: number, digest = hash(BANK, 'something else', 'hex')): Event {
  return { pcr, type, data: new Uint8Array(), digest };
}

function valuesOf(banks: ReturnType<typeof pcrsOf>): ReadonlyMap<number, Uint8Array> {
  const values = banks.get(BANK);
  if (!values) throw new Error(`no bank ${BANK}`);
  return values;
}

/** The text of a profile that ships. */
export function profile(name: string): string {
  return readFileSync(new URL(`../../../../policies/profiles/${name}.yaml`, import.meta.url), 'utf8');
}

/** A policy with a section `boot`, in YAML's flow style. */
export function policy(boot: string, pcrs = '{ bank: sha256, require: 0-7 }'): string {
  return `assay: policy/v1
name: test
freshness: { interval: 30s, trust-for: 5m }
reaction: ban
pcrs: ${pcrs}
boot: ${boot}
`;
}

export function judge(
  document: string,
  { log, values, userspace }: Boot,
  boots?: BootMemo,
  sets: readonly DigestSet[] = [],
): Verdict {
  const rules = parsePolicy(document);
  const quoted = new Map([...values].filter(([pcr]) => rules.pcrs.selection.includes(pcr)));
  const boot = {
    ...(log ? { firmware: sentLog(log) } : {}),
    ...(userspace ? { userspace: sentLog(userspace) } : {}),
  };
  const known = new Map(sets.map((set) => [set.id, set]));
  const knowledge = { sets: known, ...(boots ? { boots } : {}) };
  return appraise(rules, { quote: quoteOf(quoted), boot }, {}, knowledge);
}

const AK = softwareEcc();

/** A quote of these registers by a TPM. */
export function quoteOf(values: ReadonlyMap<number, Uint8Array>) {
  const pcrs = [...values.keys()].sort((a, b) => a - b);
  const all = concat(...pcrs.map((pcr) => values.get(pcr) ?? new Uint8Array()));
  const pcrDigest = new Uint8Array(hash(BANK, all, 'buffer'));
  const attest = marshalTpmsAttest(
    attestation({ type: 'quote', pcrSelect: [{ hash: BANK, pcrs }], pcrDigest }),
  );
  const signature = marshalTpmtSignature(signWith(AK, 'ecdsa', BANK, attest));
  return appraiseQuote({
    ...{ akPublic: AK.publicArea, attest, signature, nonce: NONCE },
    pcrValues: new Map([[BANK, values]]),
    selection: { bank: BANK, pcrs },
  });
}

/** Rules that were broken, without repetitions, in order. */
export function rulesOf(verdict: Verdict): readonly string[] {
  return [...new Set(verdict.findings.map(({ rule }) => rule))];
}
