import { AssayError, type ErrorCode } from '../../core/errors.ts';
import type { Tier } from '../../core/messages/result.ts';
import type { Admission, KeyMode, Standing } from '../../platform/database/schema.ts';
import type { GroupPolicy } from '../config.ts';

/** What the registrar and the verifier recorded of a node, read under both locks. */
export interface IssueFacts {
  readonly node: {
    readonly version: number;
    readonly admission: Admission;
    readonly groupName: string | null;
  };
  /** Absent until the first verdict. */
  readonly trust:
    | {
        readonly epoch: number;
        readonly standing: Standing;
        readonly nodeVersion: number;
        readonly trustedUntil: Date | null;
      }
    | undefined;
  /** What the node is, should it be trusted. */
  readonly tier: Tier;
  /** The database's clock, read after the locks were taken. */
  readonly now: Date;
}

/** What a certificate may say. */
interface IssueGrant {
  readonly granted: true;
  readonly epoch: number;
  readonly groupName: string;
  /** Whose issuing CA signs: that for nodes of the full tier, where the group has one. */
  readonly tier: 'full' | null;
  /** Whole seconds, as X.509 has them. */
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export interface IssueRefusal {
  readonly granted: false;
  readonly code: ErrorCode;
  /** Stable code that the agent acts on, such as `node.failed`. */
  readonly rule: string;
  readonly message: string;
}

export type IssueDecision = IssueGrant | IssueRefusal;

/** How far back a certificate begins: relying parties allow no skew between their clock and ours. */
const BACKDATED_MS = 120_000;
/** A certificate that ends sooner would expire on its way. */
const SHORTEST_MS = 30_000;

/**
 * Decides whether a node may have a certificate, and from when until when. The order of refusals is that of the
 * state people see (view node_state): a banned node hears that it is banned, whatever else is wrong.
 */
export function decideIssue(
  { node, trust, tier, now }: IssueFacts,
  keyMode: KeyMode,
  groups: ReadonlyMap<string, GroupPolicy>,
): IssueDecision {
  if (node.admission === 'retired') return refusal('node.retired', 'the node was retired');
  if (trust?.standing === 'banned') return refusal('node.banned', 'the node is banned');
  if (node.admission === 'pending' || node.groupName === null) {
    return refusal('node.pending', 'the node waits for its admission', 'not-admitted');
  }
  if (trust?.standing === 'failed') return refusal('node.failed', 'the node failed its attestation');
  if (trust?.standing !== 'passing' || trust.nodeVersion !== node.version) {
    return refusal('node.enrolled', 'the node has not passed an attestation since it enrolled');
  }
  const group = groups.get(node.groupName);
  if (!group) return noAuthority(node.groupName);
  if (!group.keyModes.includes(keyMode)) return wrongMode(node.groupName, keyMode, group.keyModes);
  const signedFor = group.fullTierCa && tier === 'full' ? 'full' : null;
  const { groupName } = node;
  return grant({ groupName, tier: signedFor, epoch: trust.epoch, until: trust.trustedUntil, now, group });
}

function grant(facts: {
  readonly groupName: string;
  readonly tier: 'full' | null;
  readonly epoch: number;
  readonly until: Date | null;
  readonly now: Date;
  readonly group: GroupPolicy;
}): IssueDecision {
  const { until, now, group, ...terms } = facts;
  // Without a deadline there is no trust: it always ends by time (rule trust.expires).
  const end = Math.min(now.getTime() + group.ttlMs, until?.getTime() ?? 0);
  const notAfter = wholeSecond(end);
  if (notAfter.getTime() - now.getTime() < SHORTEST_MS) {
    return refusal('node.stale', "the node's last pass is too old; it is attested again soon");
  }
  return { ...terms, granted: true, notBefore: wholeSecond(now.getTime() - BACKDATED_MS), notAfter };
}

/** The error that a refusal is to the caller. */
export function refused({ code, rule, message }: IssueRefusal): AssayError {
  return new AssayError(code, message, { details: [{ rule, message }] });
}

function refusal(rule: string, message: string, code: ErrorCode = 'not-trusted'): IssueRefusal {
  return { granted: false, code, rule, message };
}

function noAuthority(groupName: string): IssueRefusal {
  const message = `this issuer has no issuing CA for the group "${groupName}"; make one with "assay init --add-group" and add the group to issuer.groups`;
  return refusal('issue.group', message, 'conflict');
}

function wrongMode(groupName: string, mode: KeyMode, allowed: readonly KeyMode[]): IssueRefusal {
  const message = `the group "${groupName}" does not allow the key mode "${mode}", only ${allowed.join(' and ')}`;
  return refusal('issue.key-mode', message, 'conflict');
}

function wholeSecond(milliseconds: number): Date {
  return new Date(Math.floor(milliseconds / 1000) * 1000);
}
