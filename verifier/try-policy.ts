import { setImmediate as nextTurn } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { AssayError } from '../core/errors.ts';
import type { PolicyTrial } from '../core/messages/policy-trial.ts';
import type { Database } from '../platform/database/index.ts';
import { type Knowledge, setsOf } from '../policies/appraise.ts';
import { assignedPolicy } from '../policies/assignment.ts';
import { DigestSet } from '../policies/digests/digest-set.ts';
import type { Policy } from '../policies/policy.ts';
import { judgeKept } from './domain/kept-evidence.ts';
import { policyMemos } from './polling/policy-memos.ts';
import { readBootLog, recentLogs } from './store/boot-logs.ts';
import { readDigestSet } from './store/digest-sets.ts';
import { readKeptEvidence } from './store/kept-evidence.ts';
import { readAssignments } from './store/policies.ts';

/** An answer must come before a caller gives up. */
const BUDGET_MS = 20_000;
const MAX_LISTED = 100;

type Listed = PolicyTrial['nodes'][number];

/**
 * What a policy would say of the nodes that are trusted now, by what they showed last. Changes nothing.
 *
 * @param group whose nodes; without it, those that the policy of that name is for
 * @param now milliseconds of a clock that never goes back
 */
export async function tryPolicy(
  database: Database,
  policy: Policy,
  group: string | undefined,
  now: () => number,
): Promise<PolicyTrial> {
  const nodes = await trustedNodes(database, policy.name, group);
  const knowledge = { sets: await readSets(database, policy), ...policyMemos(policy) };
  const readLog = recentLogs((sha256) => readBootLog(database.db, sha256));
  const until = now() + BUDGET_MS;
  const found: Listed[] = [];
  let judged = 0;
  for (const node of nodes) {
    if (now() > until) break;
    const outcome = await tryOne(database, policy, knowledge, node, readLog);
    if (outcome) found.push(outcome);
    judged += 1;
    await nextTurn();
  }
  const [failing = [], asking = []] = (['fail', 'ask'] as const).map((kind) =>
    found.filter(({ outcome }) => outcome === kind),
  );
  return {
    passing: judged - found.length,
    failing: failing.length,
    asking: asking.length,
    unjudged: nodes.length - judged,
    nodes: [...failing, ...asking].slice(0, MAX_LISTED),
  };
}

interface TrustedNode extends Record<string, unknown> {
  readonly id: string;
  readonly alias: string;
  readonly group: string;
}

async function trustedNodes(
  { db }: Database,
  policyName: string,
  group: string | undefined,
): Promise<readonly TrustedNode[]> {
  const { rows } = await db.execute<TrustedNode>(sql`
    SELECT n.id, n.alias, coalesce(n.group_name, '') AS "group" FROM node n JOIN node_state s ON s.node_id = n.id
    WHERE s.state = 'trusted' ORDER BY n.id`);
  if (group !== undefined) return rows.filter((node) => node.group === group);
  const assignments = new Map((await readAssignments(db)).map(({ subject, policy }) => [subject, policy]));
  return rows.filter((node) => assignedPolicy(assignments, node) === policyName);
}

async function tryOne(
  { db }: Database,
  policy: Policy,
  knowledge: Knowledge,
  { id: nodeId, alias }: TrustedNode,
  readLog: Parameters<typeof readKeptEvidence>[2],
): Promise<Listed | undefined> {
  const ask = (message: string): Listed => ({
    ...{ nodeId, alias, outcome: 'ask' },
    reasons: [{ rule: 'evidence.kept', message }],
  });
  try {
    const kept = await readKeptEvidence(db, nodeId, readLog);
    if (!kept) return ask('no evidence of it is kept');
    const judged = judgeKept(policy, kept, knowledge);
    if (judged.kind === 'pass') return undefined;
    if (judged.kind === 'ask') return ask(judged.why);
    return { nodeId, alias, outcome: 'fail', reasons: [...judged.verdict.findings] };
  } catch (error) {
    if (error instanceof AssayError) return ask(error.message);
    throw error;
  }
}

async function readSets({ db }: Database, policy: Policy): Promise<ReadonlyMap<string, DigestSet>> {
  const sets = new Map<string, DigestSet>();
  for (const id of setsOf(policy)) {
    const bytes = await readDigestSet(db, id);
    if (bytes) sets.set(id, DigestSet.parse(bytes));
  }
  return sets;
}
