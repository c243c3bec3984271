import { and, eq, sql } from 'drizzle-orm';
import { printable, toHex } from '../../core/bytes/encoding.ts';
import type { ResultFacts } from '../../core/result/ear.ts';
import type { Queries } from '../../platform/database/index.ts';
import { node, nodeState, nodeTrust, policy } from '../../platform/database/schema.ts';
import { tierFacts } from '../../platform/tier-facts.ts';

/** What a result says, and when that was so by the database's clock. */
export interface FactsNow extends ResultFacts {
  readonly at: Date;
}

/** What a result for a node says, as it stands now; undefined for a node that nobody knows. */
export async function readResultFacts(db: Queries, id: string): Promise<FactsNow | undefined> {
  const [row] = await db
    .select({
      record: node,
      state: nodeState.state,
      trust: nodeTrust,
      judges: policy.judges,
      sha256: policy.sha256,
      at: sql<string>`now()::text`,
    })
    .from(node)
    .innerJoin(nodeState, eq(nodeState.nodeId, node.id))
    .leftJoin(nodeTrust, eq(nodeTrust.nodeId, node.id))
    .leftJoin(policy, and(eq(policy.name, nodeTrust.policyName), eq(policy.version, nodeTrust.policyVersion)))
    .where(eq(node.id, id));
  if (!row) return undefined;
  const { record, trust, sha256 } = row;
  const { policyName, policyVersion } = trust ?? { policyName: null, policyVersion: null };
  return {
    at: new Date(row.at),
    ...tierFacts(row),
    node: { id, name: printable(record.assetName ?? record.alias), group: record.groupName },
    epoch: trust?.epoch ?? 0,
    reasons: trust?.reasons ?? [],
    judgedAt: trust?.judgedAt ?? null,
    trustedUntil: trust?.trustedUntil ?? null,
    policy:
      policyName !== null && policyVersion !== null && sha256
        ? { name: policyName, version: policyVersion, sha256: toHex(sha256) }
        : null,
  };
}
