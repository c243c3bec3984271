import type { Finding } from '../finding.ts';
import type { NodeState } from '../messages/common.ts';
import type { Tier } from '../messages/result.ts';

/** What a policy judges besides register values. */
export interface Judged {
  /** By a boot log that replays. */
  readonly boot: boolean;
  /** By a measurement list that replays. */
  readonly files: boolean;
}

/** What a tier follows from. */
export interface TierFacts {
  readonly state: NodeState;
  /** Of the last verdict; `fail` of a trusted node was only reported. */
  readonly outcome: 'pass' | 'fail' | 'inconclusive' | null;
  /** What the policy of the last verdict judges; null when that is not known. */
  readonly judged: Judged | null;
  /** Whether a manufacturer vouches for the TPM. */
  readonly ekCertified: boolean;
  /** Whether quotes bind the node's TLS key, so that the TPM is in the machine that answered. */
  readonly channelBound: boolean;
}

export interface TierJudgement {
  readonly tier: Tier;
  /** Why; of a full tier the one rule `tier.complete`. */
  readonly reasons: readonly Finding[];
}

const UNTRUSTED: Readonly<Record<Exclude<NodeState, 'trusted' | 'stale'>, Finding>> = {
  pending: { rule: 'tier.pending', message: 'the node is not admitted yet' },
  enrolled: { rule: 'tier.never', message: 'the node has not passed under its present record' },
  failed: { rule: 'tier.failed', message: 'the node failed, and has not passed since' },
  banned: { rule: 'tier.banned', message: 'the node is banned' },
  retired: { rule: 'tier.retired', message: 'the node was taken out of service' },
};

const STALE: Finding = {
  rule: 'tier.stale',
  message: 'the node passed, and has not shown evidence within the time that its policy gives it',
};
const COMPLETE: Finding = {
  rule: 'tier.complete',
  message: 'a certified TPM answered over its own channel, and boot and files were judged',
};

const WANTING: readonly { readonly finding: Finding; readonly when: (facts: TierFacts) => boolean }[] = [
  {
    finding: { rule: 'tier.reported', message: 'the node failed a policy that only reports' },
    when: ({ outcome }) => outcome === 'fail',
  },
  {
    finding: {
      rule: 'tier.boot',
      message: 'the policy does not judge what was booted: its section `boot` is missing, or reads no log',
    },
    when: ({ judged }) => !judged?.boot,
  },
  {
    finding: {
      rule: 'tier.files',
      message: 'the policy does not judge which files run: its section `ima` is missing',
    },
    when: ({ judged }) => !judged?.files,
  },
  {
    finding: {
      rule: 'tier.ek',
      message: 'no manufacturer vouches for the TPM: a person or an inventory does',
    },
    when: ({ ekCertified }) => !ekCertified,
  },
  {
    finding: {
      rule: 'tier.channel',
      message: 'quotes do not bind the key of the TLS connection: the TPM may be in another machine',
    },
    when: ({ channelBound }) => !channelBound,
  },
];

/** All rules that keep a trusted node from the full tier are listed, not the first. */
export function tierOf(facts: TierFacts): TierJudgement {
  const { state } = facts;
  if (state === 'stale') return { tier: 'stale', reasons: [STALE] };
  if (state !== 'trusted') return { tier: 'untrusted', reasons: [UNTRUSTED[state]] };
  const wanting = WANTING.filter(({ when }) => when(facts)).map(({ finding }) => finding);
  return wanting.length > 0 ? { tier: 'partial', reasons: wanting } : { tier: 'full', reasons: [COMPLETE] };
}
