import type { Finding } from '../../core/finding.ts';
import type { PeerErrorReason } from '../../platform/http/pinned-pool.ts';

const RULES: Readonly<Record<PeerErrorReason, string>> = {
  'dial-refused': 'api.dial',
  unreachable: 'node.unreachable',
  timeout: 'node.unreachable',
  'pin-mismatch': 'node.identity',
  'too-large': 'node.answer',
};

/** Why nothing was learned of a node that could not be asked. */
export function peerFinding(reason: PeerErrorReason, message: string): Finding {
  return { rule: RULES[reason], message };
}

/** What the agent answered is no evidence. */
export function unusableAnswer(problem: string): Finding {
  return { rule: 'node.answer', message: `the agent ${problem}` };
}

/** What tells two verdicts apart: their rules and PCRs, not the values in their sentences. */
export function reasonKeyOf(findings: readonly Pick<Finding, 'rule' | 'pcr'>[]): string {
  return findings.map(({ rule, pcr }) => (pcr === undefined ? rule : `${rule}/${pcr}`)).join(' ');
}
