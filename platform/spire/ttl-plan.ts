/** What may be valid for how long after a node has failed. */
export interface ExposureGoal {
  /** From the moment that a node is tampered with, until nothing that SPIRE gave to its workloads is valid. */
  readonly exposureSeconds: number;
  /** How often nodes are asked: `freshness.interval` of the policy. */
  readonly intervalSeconds: number;
}

/** Lifetimes that keep to a goal, in seconds, and what they come to. */
export interface TtlPlan {
  /** spire-server: default_x509_svid_ttl and default_jwt_svid_ttl, and the most that an entry may say. */
  readonly workloadSvid: number;
  /** spire-server: agent_ttl. */
  readonly agentSvid: number;
  /** assay.yaml: issuer.groups.NAME.ttl. */
  readonly nodeCertificate: number;
  /** Policy: freshness.trust-for. */
  readonly trustFor: number;
  /** Until the fail is found, and the ban is in SPIRE. */
  readonly untilBanned: number;
  /** The goal as it is kept: until the last SVID ends. */
  readonly exposure: number;
  /** The same when SPIRE cannot be reached to ban: the node runs out of certificates first. */
  readonly exposureWithoutBan: number;
  /** Of one workload: SPIRE signs anew at half of the lifetime. */
  readonly signaturesPerHour: number;
}

/** One answer, its verdict, and the ban. */
const FIND_AND_BAN_SECONDS = 5;
/** Agents look every 5 seconds what is to be renewed: below this they do little else. */
const SHORTEST_SVID_SECONDS = 60;
const LONGEST_CERTIFICATE_SECONDS = 600;
const SHORTEST_CERTIFICATE_SECONDS = 120;
/** One lost answer must not end trust, nor three. */
const INTERVALS_OF_TRUST = 4;
const HOUR = 3600;

/**
 * The longest lifetimes that keep to a goal: long ones cost least.
 *
 * @throws {RangeError} for a goal that the interval leaves no room for; says which one there would be
 */
export function planTtls({ exposureSeconds, intervalSeconds }: ExposureGoal): TtlPlan {
  const untilBanned = intervalSeconds + FIND_AND_BAN_SECONDS;
  const workloadSvid = Math.floor(exposureSeconds - untilBanned);
  if (workloadSvid < SHORTEST_SVID_SECONDS) {
    const least = untilBanned + SHORTEST_SVID_SECONDS;
    const interval = exposureSeconds - SHORTEST_SVID_SECONDS - FIND_AND_BAN_SECONDS;
    const instead = interval >= 1 ? `, or ask nodes every ${interval}s` : '';
    throw new RangeError(
      `an exposure of ${exposureSeconds}s cannot be kept with an interval of ${intervalSeconds}s: SVIDs of less than ${SHORTEST_SVID_SECONDS}s are not practical; choose at least ${least}s${instead}`,
    );
  }
  const trustFor = INTERVALS_OF_TRUST * intervalSeconds;
  const nodeCertificate = Math.min(
    LONGEST_CERTIFICATE_SECONDS,
    Math.max(SHORTEST_CERTIFICATE_SECONDS, trustFor),
  );
  const agentSvid = Math.min(workloadSvid, HOUR);
  return {
    ...{ workloadSvid, agentSvid, nodeCertificate, trustFor, untilBanned },
    exposure: untilBanned + workloadSvid,
    // A certificate never outlives trust.
    exposureWithoutBan: trustFor + agentSvid + workloadSvid,
    signaturesPerHour: Math.ceil((2 * HOUR) / workloadSvid),
  };
}
