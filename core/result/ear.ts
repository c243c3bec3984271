import Type, { type Static } from 'typebox';
import type { Finding as FoundFinding } from '../finding.ts';
import { Finding, NodeId, NodeState, Outcome } from '../messages/common.ts';
import { Tier, type TierFacts, type TierJudgement, tierOf } from './tier.ts';
import { Ar4siTier, ar4siTier, TrustVector, trustVectors, worst } from './trust-vector.ts';

/** The EAT profile of draft-ietf-rats-ear-03. */
export const EAR_PROFILE = 'tag:ietf.org,2026:rats/ear#03';

/** Base64 of 8 to 64 bytes (section 3): what a relying party may have echoed. */
export const EAR_NONCE_PATTERN = '^[A-Za-z0-9+/_-]{11,86}={0,2}$';

const Seconds = Type.Integer({ minimum: 0, description: 'Seconds since 1970' });

const Appraisal = Type.Object({
  ear_status: Ar4siTier,
  ear_trustworthiness_vector: Type.Optional(TrustVector),
  ear_appraisal_policy_ids: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
});

const NODE = 'urn:assay:node';
const VERDICT = 'urn:assay:verdict';

/**
 * Claims of an EAT Attestation Result (draft-ietf-rats-ear-03) about a node. Those whose names begin with `urn:assay:`
 * are ours; unknown ones are ignored, as the draft demands.
 */
export const EarClaims = Type.Object(
  {
    eat_profile: Type.Literal(EAR_PROFILE),
    iat: Seconds,
    exp: Seconds,
    sub: NodeId,
    ear_status: Ar4siTier,
    ear_verifier_id: Type.Object({ developer: Type.String(), build: Type.String() }),
    eat_nonce: Type.Optional(Type.String({ pattern: EAR_NONCE_PATTERN })),
    submods: Type.Object({ identity: Appraisal, boot: Appraisal, runtime: Appraisal }),
    [NODE]: Type.Object({
      name: Type.String(),
      group: Type.Union([Type.String(), Type.Null()]),
      state: NodeState,
      epoch: Type.Integer(),
    }),
    [VERDICT]: Type.Object({
      tier: Tier,
      tierReasons: Type.Array(Finding),
      outcome: Type.Union([Outcome, Type.Null()]),
      reasons: Type.Array(Finding),
      judgedAt: Type.Union([Type.String(), Type.Null()]),
    }),
  },
  { title: 'EarClaims' },
);
export type EarClaims = Static<typeof EarClaims>;

/** What a result says, as the verifier's records have it. */
export interface ResultFacts extends TierFacts {
  readonly node: { readonly id: string; readonly name: string; readonly group: string | null };
  readonly epoch: number;
  readonly reasons: readonly FoundFinding[];
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
    [NODE]: { name: node.name, group: node.group, state, epoch },
    [VERDICT]: {
      tier: judgement.tier,
      tierReasons: judgement.reasons.map((reason) => ({ ...reason })),
      outcome,
      reasons: facts.reasons.map((reason) => ({ ...reason })),
      judgedAt: facts.judgedAt?.toISOString() ?? null,
    },
  };
}

/** Affirming only where the tier is full: a relying party that reads this one claim must not trust too much. */
function overall({ tier }: TierJudgement, submods: readonly Static<typeof Appraisal>[]): Ar4siTier {
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
