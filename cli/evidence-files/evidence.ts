import { stat } from 'node:fs/promises';
import { AssayError } from '../../core/errors.ts';
import { type TierJudgement, tierOf } from '../../core/result/tier.ts';
import { judgesOf } from '../../policies/appraise.ts';
import { appraiseOffline, type OfflineVerdict } from '../../policies/appraise-offline.ts';
import { setsIn } from '../../policies/bundle/contents.ts';
import { openBundle } from '../../policies/bundle/format.ts';
import { judgeBundle } from '../../policies/bundle/judge.ts';
import type { DigestSet } from '../../policies/digests/digest-set.ts';
import type { Policy } from '../../policies/policy.ts';
import type { Verdict } from '../../policies/verdict.ts';
import { readTextFile } from '../files.ts';
import { readEvidenceDirectory } from './directory.ts';

/** Evidence that lies in files, whatever its form. */
export interface EvidenceInFiles {
  /** Digest sets that came with it. */
  readonly sets: readonly DigestSet[];
  judge(policy: Policy, sets: readonly DigestSet[]): JudgedFiles;
}

export interface JudgedFiles extends OfflineVerdict, TierJudgement {}

/**
 * A directory of files, or an evidence bundle. Nobody is asked who signed a bundle: what is in it is judged by the
 * policy alone.
 *
 * @throws {AssayError} `malformed` for what is neither
 */
export async function readEvidence(path: string, quote?: string): Promise<EvidenceInFiles> {
  return (await isDirectory(path)) ? fromDirectory(path, quote) : fromBundle(path);
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    throw new AssayError('malformed', `${path}: there is no such file or directory`);
  }
}

async function fromDirectory(path: string, quote: string | undefined): Promise<EvidenceInFiles> {
  const evidence = await readEvidenceDirectory(path, quote);
  return {
    sets: [],
    judge(policy, sets) {
      const knowledge = { sets: new Map(sets.map((set) => [set.id, set])) };
      const judged = appraiseOffline(policy, evidence, {}, knowledge);
      return {
        ...judged,
        ...offlineTier(policy, judged.verdict, { ekCertified: false, channelBound: false }),
      };
    },
  };
}

async function fromBundle(path: string): Promise<EvidenceInFiles> {
  const { bundle } = openBundle(await readTextFile(path));
  return {
    sets: setsIn(bundle).sets,
    judge(policy, sets) {
      const { verdict, limits, ekCertified } = judgeBundle(bundle, { policy, sets });
      const channelBound = bundle.asked.channel?.binding === 'tls-key';
      return { verdict, limits, ...offlineTier(policy, verdict, { ekCertified, channelBound }) };
    },
  };
}

const STATES = { pass: 'trusted', fail: 'failed', inconclusive: 'enrolled' } as const;

/** The tier that a node would have with this verdict. */
export function offlineTier(
  policy: Policy,
  { outcome }: Verdict,
  shown: { readonly ekCertified: boolean; readonly channelBound: boolean },
): TierJudgement {
  const judges = judgesOf(policy);
  const judged = { boot: judges.includes('boot'), files: judges.includes('files') };
  return tierOf({ state: STATES[outcome], outcome, judged, ...shown });
}
