import type { Finding } from '../finding.ts';
import {
  type Ar4siTier,
  EAR_PROFILE,
  type EarAppraisal,
  type EarClaims,
  type TrustVector,
} from '../messages/result.ts';
import { type TierFacts, type TierJudgement, tierOf } from './tier.ts';
import { ar4siTier, trustVectors, worst } from './trust-vector.ts';

/** What a result says, as the verifier's records have it. */
export interface ResultFacts extends TierFacts {
  readonly node: { readonly id: string; readonly name: string; readonly group: string | null };
  readonly epoch: number;
  readonly reasons: readonly Finding[];
  readonly judgedAt: Date | null;
  readonly trustedUntil: Date | null;
  /** Of the last verdict. */
  readonly policy: { readonly name: string; readonly version: number; readonly sha256: string } | null;
}

export interface EarContext {
  readonly at: Date;
  readonly build: string;
  readonly nonce?: string | undefined;
}

/** A result that is not of trust says for how long it is news. */
const NEWS_SECONDS = 300;

/**
 * The result for a node now. It ends when trust in the node does; a relying party that wants it shorter asks again with
 * a nonce of its own.
 */
export function earClaims(facts: ResultFacts, { at, build, nonce }: EarContext): EarClaims {
  const iat = seconds(at);
  const { node, state, epoch, outcome, trustedUntil } = facts;
  const vectors = trustVectors(facts);
  const policies = facts.policy ? { ear_appraisal_policy_ids: [policyId(facts.policy)] } : {};
  const appraisal = (vector: TrustVector) => ({
    ear_status: ar4siTier(vector),
    ...(Object.keys(vector).length > 0 ? { ear_trustworthiness_vector: vector } : {}),
    ...policies,
  });
  const submods = {
    identity: appraisal(vectors.identity),
    boot: appraisal(vectors.boot),
    runtime: appraisal(vectors.runtime),
  };
  const judgement = tierOf(facts);
  return {
    eat_profile: EAR_PROFILE,
    iat,
    exp: state === 'trusted' && trustedUntil ? seconds(trustedUntil) : iat + NEWS_SECONDS,
    sub: node.id,
    ear_status: overall(judgement, Object.values(submods)),
    ear_verifier_id: { developer: 'urn:assay', build },
    ...(nonce === undefined ? {} : { eat_nonce: nonce }),
    submods,
    'urn:assay:node': { name: node.name, group: node.group, state, epoch },
    'urn:assay:verdict': {
      tier: judgement.tier,
      tierReasons: judgement.reasons.map((reason) => ({ ...reason })),
      outcome,
      reasons: facts.reasons.map((reason) => ({ ...reason })),
      judgedAt: facts.judgedAt?.toISOString() ?? null,
    },
  };
}

/** Affirming only where the tier is full: a relying party that reads this one claim must not trust too much. */
function overall({ tier }: TierJudgement, submods: readonly EarAppraisal[]): Ar4siTier {
  const status = worst(submods.map(({ ear_status }) => ear_status));
  return tier === 'full' ? status : worst([status, tier === 'untrusted' ? 'contraindicated' : 'none']);
}

function policyId({ name, version, sha256 }: NonNullable<ResultFacts['policy']>): string {
  return `urn:assay:policy:${name}:${version}:sha256:${sha256}`;
}

/** Rounded down: no later than it was, or ends. */
function seconds(at: Date): number {
  return Math.floor(at.getTime() / 1000);
}
