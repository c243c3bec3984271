import { hash } from 'node:crypto';
import { ParseError } from '../../core/errors.ts';
import { parseCelLog, parseEventLog } from '../../core/eventlog/index.ts';
import type { Finding } from '../../core/finding.ts';
import { IMA_PCR } from '../../core/ima/binary.ts';
import type { VerifiedQuote } from '../../core/tpm/quote.ts';
import type { Policy } from '../policy.ts';
import { evaluateApplications } from './applications.ts';
import type { BootPolicy } from './boot-rules.ts';
import { type BootClaims, bootClaims } from './claims.ts';
import { evaluateCommandLine } from './command-line.ts';
import { evaluateFirmware } from './firmware.ts';
import { evaluateFiles, evaluateImage } from './kernel-files.ts';
import { type BootLogs, type MeasuredBoot, measuredBoot } from './measured.ts';
import { readSecureBoot } from './secure-boot.ts';
import { evaluateSecureBoot } from './secure-boot-rules.ts';
import { evaluateSeparators } from './separators.ts';

/** A log as it came. */
export interface SentLog {
  /** Hex, of the bytes. */
  readonly sha256: string;
  /** Absent: the node said that it is still the log that it sent before. */
  readonly bytes?: Uint8Array;
}

/** A log whose bytes are here. */
export function sentLog(bytes: Uint8Array): SentLog {
  return { sha256: hash('sha256', bytes, 'hex'), bytes };
}

/** Logs of a boot; nothing in them is proven. */
export interface BootEvidence {
  /** Binary log of the firmware; absent or empty when the node has none. */
  readonly firmware?: SentLog;
  /** Canonical log in JSON of what systemd measured; absent when the node has none. */
  readonly userspace?: SentLog;
}

export interface BootEvaluation {
  readonly findings: readonly Finding[];
  /** Why nothing can be said: the logs are to be sent again. */
  readonly undecided?: Finding;
  /** What the quote proves of the boot; absent where there is nothing to prove it by. */
  readonly claims?: BootClaims;
}

export interface BootInput {
  readonly pcrs: Policy['pcrs'];
  readonly policy: BootPolicy;
  readonly quote: Pick<VerifiedQuote, 'bank' | 'pcrs'>;
  readonly evidence: BootEvidence | undefined;
}

/**
 * Judges a boot: every quoted register must be explained by the logs or have a literal value in the policy, and what was
 * measured must be what the policy allows (rule `boot.always`: at each quote, for the price of a hash when it was seen
 * before).
 */
export function evaluateBoot({ pcrs, policy, quote, evidence }: BootInput): BootEvaluation {
  const logs = readLogs(evidence);
  if ('undecided' in logs) return { findings: [], undecided: logs.undecided };
  if ('problem' in logs) return { findings: [logs.problem] };
  const boot = measuredBoot(logs, quote.bank, quote.pcrs);
  const { state, findings } = readSecureBoot(boot, policy.acceptedStates);
  return {
    findings: [
      ...evaluateReplay(pcrs, boot),
      ...evaluateSeparators(boot),
      ...evaluateFirmware(policy, boot),
      ...findings,
      ...evaluateSecureBoot(policy, boot, state),
      ...evaluateApplications(policy, boot, state),
      ...evaluateFiles(policy, boot),
      ...evaluateCommandLine(policy, boot),
      ...evaluateImage(policy, boot),
    ],
    claims: bootClaims(policy, boot, state),
  };
}

type Unreadable = { readonly problem: Finding } | { readonly undecided: Finding };

function readLogs(evidence: BootEvidence | undefined): BootLogs | Unreadable {
  const { firmware, userspace } = evidence ?? {};
  if (!firmware || firmware.bytes?.length === 0) {
    const message = 'the node sent no boot log, and the policy judges the boot';
    const remedy =
      'see whether the agent may read /sys/kernel/security/tpm0/binary_bios_measurements; for a machine that has none, use the profile no-log';
    return { problem: { rule: 'log.missing', message, remedy } };
  }
  if (!firmware.bytes || (userspace && !userspace.bytes)) {
    const message = 'the boot logs are said to be those that are known, and its registers have other values';
    return { undecided: { rule: 'log.again', message } };
  }
  return parseLogs(firmware.bytes, userspace?.bytes);
}

function parseLogs(firmware: Uint8Array, userspace: Uint8Array | undefined): BootLogs | Unreadable {
  const broken = (message: string) => ({ problem: { rule: 'log.parse', message } });
  try {
    const log = parseEventLog(firmware);
    if (log.registers !== 'pcr') return broken('the boot log is of a confidential machine, not of a TPM');
    return { firmware: log, userspace: userspace && parseCelLog(userspace, { tolerateTruncation: true }) };
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    return broken(`the boot log is broken: ${error.message}`);
  }
}

const REASONS = {
  'no-events': 'it was extended, and the log has no event for it',
  mismatch: 'its events lead elsewhere: the log was changed, or something extended it besides',
  surplus: 'the log has more events of the firmware than were extended',
  'no-digest': 'an event of it has no digest for the bank',
  'no-bank': 'the log does not have the bank',
} as const;

/** Rule `log.replay`. IMA's register has its own list, and its own rule. */
function evaluateReplay({ selection, rules, bank }: Policy['pcrs'], boot: MeasuredBoot): Finding[] {
  const literal = new Set(rules.map(({ pcr }) => pcr));
  return selection.flatMap((pcr) => {
    const explained = boot.explained.get(pcr);
    if (pcr === IMA_PCR || literal.has(pcr) || (explained && explained.status !== 'unexplained')) return [];
    const why = explained?.reason ? REASONS[explained.reason] : 'it was not quoted';
    return [
      {
        rule: 'log.replay',
        pcr,
        message: `the boot log does not explain PCR ${pcr} in bank ${bank}: ${why}`,
      },
    ];
  });
}

/** What a boot is known by: the same key has the same evaluation under one policy. */
export function bootKey({ quote, evidence }: Pick<BootInput, 'quote' | 'evidence'>): string {
  const parts = [evidence?.firmware, evidence?.userspace].map((log) => log?.sha256 ?? '-');
  const values = [...quote.pcrs]
    .filter(([pcr]) => pcr !== IMA_PCR)
    .map(
      ([pcr, value]) =>
        `${pcr}=${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')}`,
    );
  return [...parts, quote.bank, ...values].join(' ');
}
