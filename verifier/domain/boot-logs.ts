import { type BootEvidence, type SentLog, sentLog } from '../../policies/boot/evaluate.ts';
import type { EvidenceAnswer, KnownLogs } from '../transport/evidence-source.ts';

type Came = Extract<EvidenceAnswer, { came: true }>;

/** The boot logs of an answer, by their digests. One that is "the same" without ever having been sent is none. */
export function bootEvidence({ firmware, userspace }: Came, known: KnownLogs): BootEvidence {
  const logs = {
    firmware: logOf(firmware, known.firmware),
    userspace: logOf(userspace, known.userspace),
  };
  return {
    ...(logs.firmware ? { firmware: logs.firmware } : {}),
    ...(logs.userspace ? { userspace: logs.userspace } : {}),
  };
}

function logOf(log: Came['firmware'], known: string | undefined): SentLog | undefined {
  if (log === undefined) return undefined;
  if (log === 'same') return known === undefined ? undefined : { sha256: known };
  return sentLog(log);
}

export function knownLogs({ firmware, userspace }: BootEvidence): KnownLogs {
  return {
    ...(firmware ? { firmware: firmware.sha256 } : {}),
    ...(userspace ? { userspace: userspace.sha256 } : {}),
  };
}
