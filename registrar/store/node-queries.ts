import { and, asc, between, eq, gt, or, type SQL } from 'drizzle-orm';
import type { Queries } from '../../platform/database/index.ts';
import { type NodeState, node, nodeState, nodeTrust, policy } from '../../platform/database/schema.ts';
import type { TierRow } from '../../platform/tier-facts.ts';
import type { NodeName } from '../domain/node-name.ts';

/** A record, its derived state and, when the verifier has seen the node, what it thinks of it. */
export type NodeRow = TierRow;

export interface NodeFilter {
  readonly state?: NodeState;
  readonly group?: string;
  /** Nodes with greater ids. */
  readonly after?: string;
  readonly limit: number;
}

const MAX_CANDIDATES = 10;

export async function listNodes(db: Queries, filter: NodeFilter): Promise<NodeRow[]> {
  const { state, group, after, limit } = filter;
  const conditions = [
    state === undefined ? undefined : eq(nodeState.state, state),
    group === undefined ? undefined : eq(node.groupName, group),
    after === undefined ? undefined : gt(node.id, after),
  ];
  return select(db, and(...conditions), limit);
}

/** The nodes that a name may mean, at most MAX_CANDIDATES. An exact id means that node, whatever others are called. */
export async function findNodes(db: Queries, { id, prefix, alias }: NodeName): Promise<NodeRow[]> {
  const exact = id === null ? [] : await select(db, eq(node.id, id), 1);
  if (exact.length > 0) return exact;
  const conditions: SQL[] = [];
  if (alias !== null) conditions.push(eq(node.alias, alias));
  if (prefix !== null) conditions.push(between(node.id, prefix.first, prefix.last));
  return conditions.length === 0 ? [] : select(db, or(...conditions), MAX_CANDIDATES);
}

export async function findNode(db: Queries, id: string): Promise<NodeRow | undefined> {
  return (await select(db, eq(node.id, id), 1))[0];
}

/** Keylime names nodes by alias and means the admitted one. */
export async function findAdmitted(db: Queries, alias: string): Promise<NodeRow | undefined> {
  return (await select(db, and(eq(node.alias, alias), eq(node.admission, 'admitted')), 1))[0];
}

export async function listAdmittedAliases(db: Queries): Promise<string[]> {
  const rows = await db
    .select({ alias: node.alias })
    .from(node)
    .where(eq(node.admission, 'admitted'))
    .orderBy(asc(node.alias));
  return rows.map(({ alias }) => alias);
}

function select(db: Queries, condition: SQL | undefined, limit: number): Promise<NodeRow[]> {
  return db
    .select({ record: node, state: nodeState.state, trust: nodeTrust, judges: policy.judges })
    .from(node)
    .innerJoin(nodeState, eq(nodeState.nodeId, node.id))
    .leftJoin(nodeTrust, eq(nodeTrust.nodeId, node.id))
    .leftJoin(policy, and(eq(policy.name, nodeTrust.policyName), eq(policy.version, nodeTrust.policyVersion)))
    .where(condition)
    .orderBy(asc(node.id))
    .limit(limit);
}
