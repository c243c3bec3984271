import { ImaEntryMemo } from '../../core/ima/replay.ts';
import type { Knowledge } from '../../policies/appraise.ts';
import type { Policy } from '../../policies/policy.ts';
import { bootMemo } from './boot-memo.ts';

/** What is judged once for all nodes of one version of a policy. */
export type PolicyMemos = Pick<Knowledge, 'boots' | 'entries'>;

export function policyMemos({ ima }: Pick<Policy, 'ima'>): PolicyMemos {
  return { boots: bootMemo(), entries: ima && ImaEntryMemo.create() };
}
