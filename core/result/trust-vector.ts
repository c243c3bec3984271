import type { Finding } from '../finding.ts';
import { AR4SI_TIERS, type Ar4siTier, type TrustVector } from '../messages/result.ts';
import type { TierFacts } from './tier.ts';

/** Values of draft-ietf-rats-ar4si-10, section 2.3.4, as far as they are given here. */
const VALUE = {
  affirmed: 2,
  /** Executables: while it booted. */
  bootAffirmed: 3,
  /** Executables: some are not recognised. */
  unrecognised: 33,
  contraindicated: 96,
  /** Identity: not recognised, and should be. */
  unknown: 97,
  /** Cryptographic validation of the evidence failed. */
  broken: 99,
} as const;

/** The parts of a node that are appraised apart. */
export interface TrustVectors {
  readonly identity: TrustVector;
  readonly boot: TrustVector;
  readonly runtime: TrustVector;
}

/** What the last verdict found, beside the facts of the tier. */
export interface VectorFacts extends TierFacts {
  readonly reasons: readonly Finding[];
}

/**
 * The appraisal in AR4SI's terms. Evidence that is older than its policy allows, and none, give no claim at all; what a
 * policy does not judge is not claimed.
 */
export function trustVectors(facts: VectorFacts): TrustVectors {
  const { state } = facts;
  if (state === 'failed' || state === 'banned') return failed(facts);
  if (state === 'trusted') return trusted(facts);
  const identity = state === 'stale' ? {} : { 'instance-identity': VALUE.unknown };
  return { identity, boot: {}, runtime: {} };
}

function trusted({ judged, ekCertified, outcome, reasons }: VectorFacts): TrustVectors {
  const reported = outcome === 'fail' ? reasons : [];
  const boot = judged?.boot ?? false;
  const files = judged?.files ?? false;
  const inBoot = reported.some(isOfBoot);
  const inFiles = reported.some(isOfFiles);
  return {
    identity: { 'instance-identity': VALUE.affirmed, ...(ekCertified ? { hardware: VALUE.affirmed } : {}) },
    boot: inBoot
      ? { executables: VALUE.unrecognised }
      : boot
        ? { configuration: VALUE.affirmed, executables: VALUE.bootAffirmed }
        : {},
    runtime: inFiles
      ? { executables: VALUE.unrecognised }
      : // What runs is only known where what loaded it is.
        files && boot && !inBoot
        ? { executables: VALUE.affirmed }
        : {},
  };
}

function failed({ state, reasons, outcome }: VectorFacts): TrustVectors {
  const found = outcome === 'fail' ? reasons : [];
  const boot = found.some(isOfBoot);
  const files = found.some(isOfFiles);
  const broken = found.some((finding) => !isOfBoot(finding) && !isOfFiles(finding));
  // A person may ban a node with which nothing is wrong that evidence could show.
  const identity = state === 'banned' && !boot && !files && !broken;
  return {
    identity: {
      'instance-identity': broken ? VALUE.broken : identity ? VALUE.contraindicated : VALUE.affirmed,
    },
    boot: boot ? { executables: VALUE.contraindicated } : {},
    runtime: files ? { executables: VALUE.contraindicated } : {},
  };
}

function isOfBoot({ rule }: Finding): boolean {
  return /^(boot|log|pcr)\./.test(rule);
}

function isOfFiles({ rule }: Finding): boolean {
  return rule.startsWith('ima.');
}

/** The tier of the worst claim; `none` where there is no claim. */
export function ar4siTier(vector: TrustVector): Ar4siTier {
  const claims = Object.values(vector).filter((claim) => claim !== undefined);
  return worst(claims.length > 0 ? claims.map(tierOfClaim) : ['none']);
}

/** No more trusted than the least trusted of them. */
export function worst(tiers: readonly Ar4siTier[]): Ar4siTier {
  return AR4SI_TIERS.findLast((tier) => tiers.includes(tier)) ?? 'none';
}

/** draft-ietf-rats-ar4si-10, section 2.3.3. */
function tierOfClaim(claim: number): Ar4siTier {
  if (claim >= -1 && claim <= 1) return 'none';
  if (claim >= -32 && claim <= 31) return 'affirming';
  return claim >= -96 && claim <= 95 ? 'warning' : 'contraindicated';
}
