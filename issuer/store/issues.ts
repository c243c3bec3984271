import { and, eq, sql } from 'drizzle-orm';
import { AssayError } from '../../core/errors.ts';
import type { Tier } from '../../core/messages/result.ts';
import { tierOf } from '../../core/result/tier.ts';
import type { Database, Transaction } from '../../platform/database/index.ts';
import { certificate, issueChallenge, node, nodeTrust, policy } from '../../platform/database/schema.ts';
import { type TierRow, tierFacts } from '../../platform/tier-facts.ts';
import { type IssueDecision, type IssueFacts, refused } from '../domain/decision.ts';
import type { IssueStore, PreparedIssue } from '../domain/ports.ts';

const clock = sql<Date>`clock_timestamp()`.mapWith((value: unknown) => new Date(String(value)));

/** Issues in PostgreSQL. Who ends trust locks the same row of node_trust (rule `issue.fresh`). */
export function issueStore(database: Database): IssueStore {
  return {
    async findNode(nodeId) {
      const [row] = await database.db
        .select({ id: node.id, version: node.version, ekPublic: node.ekPublic, akPublic: node.akPublic })
        .from(node)
        .where(eq(node.id, nodeId));
      return row;
    },
    async record(prepared, rules) {
      // A refusal is committed as well: its challenge is spent.
      const decision = await database.transaction(async (tx): Promise<IssueDecision | AssayError> => {
        const facts = await lockFacts(tx, prepared);
        if (facts instanceof AssayError) return facts;
        const decided = rules.decide(facts);
        if (decided.granted) {
          const { granted: _granted, tier, ...terms } = decided;
          const authoritySha256 = rules.authorityOf(decided.groupName, tier);
          const { nonceSha256: _spent, ...columns } = prepared;
          await tx.insert(certificate).values({ ...columns, ...terms, authoritySha256 });
        }
        return decided;
      });
      if (decision instanceof AssayError) throw decision;
      if (!decision.granted) throw refused(decision);
      return decision;
    },
    async keep(serial, der) {
      await database.db.update(certificate).set({ der }).where(eq(certificate.serial, serial));
    },
  };
}

/**
 * Locks the node's record and then its trust, and only then spends the challenge and looks at the clock: until the
 * transaction ends nobody can enrol, retire, fail or ban the node.
 */
async function lockFacts(tx: Transaction, prepared: PreparedIssue): Promise<IssueFacts | AssayError> {
  const { nodeId, nodeVersion } = prepared;
  const [record] = await tx.select().from(node).where(eq(node.id, nodeId)).for('share');
  const [trust] = await tx.select().from(nodeTrust).where(eq(nodeTrust.nodeId, nodeId)).for('update');
  const challenge = await spend(tx, prepared);
  if (!record || !challenge || challenge.nodeVersion !== record.version || nodeVersion !== record.version) {
    return unknownChallenge();
  }
  if (challenge.expiresAt <= challenge.now) {
    return new AssayError('challenge-expired', 'the nonce is older than it may be; ask for a new one');
  }
  const tier = await tierWhenTrusted(tx, record, trust ?? null);
  return { node: record, trust, tier, now: challenge.now };
}

/** The tier that the node has if it is trusted, which is decided from the same rows. */
async function tierWhenTrusted(
  tx: Transaction,
  record: TierRow['record'],
  trust: TierRow['trust'],
): Promise<Tier> {
  const [judged] =
    trust?.policyName && trust.policyVersion
      ? await tx
          .select({ judges: policy.judges })
          .from(policy)
          .where(and(eq(policy.name, trust.policyName), eq(policy.version, trust.policyVersion)))
      : [];
  return tierOf(tierFacts({ record, trust, state: 'trusted', judges: judged?.judges ?? null })).tier;
}

async function spend(tx: Transaction, { nodeId, nonceSha256 }: PreparedIssue) {
  const [spent] = await tx
    .delete(issueChallenge)
    .where(and(eq(issueChallenge.nonceSha256, nonceSha256), eq(issueChallenge.nodeId, nodeId)))
    .returning({ nodeVersion: issueChallenge.nodeVersion, expiresAt: issueChallenge.expiresAt, now: clock });
  return spent;
}

function unknownChallenge(): AssayError {
  return new AssayError(
    'challenge-unknown',
    'the nonce was never given to this node, was used before, or is for an earlier enrolment; ask for a new one',
  );
}
