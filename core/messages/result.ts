import Type, { type Static } from 'typebox';
import { Finding, NodeId, NodeState, Outcome } from './common.ts';

/** How far a node can be trusted now, for people: each follows from named rules, never from a number. */
export const Tier = Type.Enum(['full', 'partial', 'stale', 'untrusted'], {
  title: 'Tier',
  description: 'How far the node can be trusted now; `tierReasons` name the rules that say so',
});
export type Tier = Static<typeof Tier>;

/** Trustworthiness tiers (draft-ietf-rats-ar4si-10, section 3.2), the least trusted last. */
export const AR4SI_TIERS = ['affirming', 'none', 'warning', 'contraindicated'] as const;
export const Ar4siTier = Type.Enum(AR4SI_TIERS);
export type Ar4siTier = Static<typeof Ar4siTier>;

const Claim = Type.Optional(Type.Integer({ minimum: -128, maximum: 127 }));

/** draft-ietf-rats-ar4si-10, section 2.3; a claim that is not made is left out. */
export const TrustVector = Type.Object({
  'instance-identity': Claim,
  configuration: Claim,
  executables: Claim,
  'file-system': Claim,
  hardware: Claim,
  'runtime-opaque': Claim,
  'storage-opaque': Claim,
  'sourced-data': Claim,
});
export type TrustVector = Static<typeof TrustVector>;

/** The EAT profile of draft-ietf-rats-ear-04. */
export const EAR_PROFILE = 'tag:ietf.org,2026:rats/ear#04';

/**
 * Base64url of 8 to 64 bytes (section 3, RFC 9711 4.1): what a relying party may have echoed. Without padding, and whole
 * octets: other verifiers refuse a token whose nonce is anything else.
 */
export const EAR_NONCE_PATTERN =
  '^(?=.{11,86}$)(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048]|[A-Za-z0-9_-][AQgw])?$';

const Seconds = Type.Integer({ minimum: 0, description: 'Seconds since 1970' });

/** Of one part of a node. */
export const EarAppraisal = Type.Object({
  ear_status: Ar4siTier,
  ear_trustworthiness_vector: Type.Optional(TrustVector),
  ear_appraisal_policy_ids: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
});
export type EarAppraisal = Static<typeof EarAppraisal>;

/**
 * Claims of an EAT Attestation Result (draft-ietf-rats-ear-04) about a node. Those whose names begin with `urn:assay:`
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
    submods: Type.Object({ identity: EarAppraisal, boot: EarAppraisal, runtime: EarAppraisal }),
    'urn:assay:node': Type.Object({
      name: Type.String(),
      group: Type.Union([Type.String(), Type.Null()]),
      state: NodeState,
      epoch: Type.Integer(),
    }),
    'urn:assay:verdict': Type.Object({
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
