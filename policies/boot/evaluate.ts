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

/** Logs of a boot as they came; nothing in them is proven. */
export interface BootEvidence {
  /** Binary log of the firmware; absent or empty when the node has none. */
  readonly firmware?: Uint8Array;
  /** Canonical log in JSON of what systemd measured; absent when the node has none. */
  readonly userspace?: Uint8Array;
}

export interface BootEvaluation {
  readonly findings: readonly Finding[];
  /** What the quote proves of the boot; absent where there is nothing to prove it by. */
  readonly claims?: BootClaims;
}

export interface BootInput {
  readonly pcrs: Policy['pcrs'];
  readonly policy: BootPolicy;
  readonly quote: VerifiedQuote;
  readonly evidence: BootEvidence | undefined;
}

/**
 * Judges a boot: every quoted register must be explained by the logs or have a literal value in the policy, and what was
 * measured must be what the policy allows (rule `boot.always`: at each quote, for the price of a hash when it was seen
 * before).
 */
export function evaluateBoot({ pcrs, policy, quote, evidence }: BootInput): BootEvaluation {
  const logs = readLogs(evidence);
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

function readLogs(evidence: BootEvidence | undefined): BootLogs | { readonly problem: Finding } {
  if (!evidence?.firmware || evidence.firmware.length === 0) {
    const message =
      'the node sent no boot log, and the policy judges the boot; see whether the agent may read /sys/kernel/security/tpm0/binary_bios_measurements, or use the profile no-log';
    return { problem: { rule: 'log.missing', message } };
  }
  try {
    const firmware = parseEventLog(evidence.firmware);
    if (firmware.registers !== 'pcr')
      return {
        problem: { rule: 'log.parse', message: 'the boot log is of a confidential machine, not of a TPM' },
      };
    const { userspace } = evidence;
    return { firmware, userspace: userspace && parseCelLog(userspace, { tolerateTruncation: true }) };
  } catch (error) {
    if (!(error instanceof ParseError || error instanceof RangeError)) throw error;
    return { problem: { rule: 'log.parse', message: `the boot log is broken: ${error.message}` } };
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
  const parts = [evidence?.firmware, evidence?.userspace].map((log) =>
    log ? hash('sha256', log, 'hex') : '-',
  );
  const values = [...quote.pcrs]
    .filter(([pcr]) => pcr !== IMA_PCR)
    .map(
      ([pcr, value]) =>
        `${pcr}=${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')}`,
    );
  return [...parts, quote.bank, ...values].join(' ');
}
