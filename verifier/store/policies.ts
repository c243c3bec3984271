import { hash } from 'node:crypto';
import { and, asc, desc, eq, isNull, sql } from 'drizzle-orm';
import { equalBytes } from '../../core/bytes/encoding.ts';
import { AssayError } from '../../core/errors.ts';
import { appendAudit } from '../../platform/audit.ts';
import type { Queries, Transaction } from '../../platform/database/index.ts';
import { policy, policyAssignment } from '../../platform/database/schema.ts';
import { judgesOf } from '../../policies/appraise.ts';
import { parsePolicy } from '../../policies/language/parse.ts';
import { openPolicy } from '../../policies/language/signed.ts';

/** Every verifier listens here, and reads policies and assignments again. */
export const POLICY_CHANNEL = 'assay_policy';
const LOCK = 4_711_046;

export type StoredPolicy = typeof policy.$inferSelect;

/** One version of a policy, the newest if none is named. */
export async function readPolicy(
  db: Queries,
  name: string,
  version?: number,
): Promise<StoredPolicy | undefined> {
  const wanted = version === undefined ? undefined : eq(policy.version, version);
  const rows = await db
    .select()
    .from(policy)
    .where(and(eq(policy.name, name), wanted))
    .orderBy(desc(policy.version))
    .limit(1);
  return rows[0];
}

/**
 * Keeps a document as the next version of its policy; the text that is the newest version already stays that.
 *
 * @throws {AssayError} `invalid-policy`
 */
export async function addPolicy(
  tx: Transaction,
  { name, document }: { readonly name: string; readonly document: string },
  actor: string,
): Promise<{ name: string; version: number }> {
  await tx.execute(sql`SELECT pg_advisory_xact_lock(${LOCK})`);
  const sha256 = new Uint8Array(hash('sha256', document, 'buffer'));
  const newest = await readPolicy(tx, name);
  if (newest && equalBytes(newest.sha256, sha256)) return { name, version: newest.version };
  const version = (newest?.version ?? 0) + 1;
  await tx.insert(policy).values({
    ...{ name, version, document, sha256, createdBy: actor },
    judges: judgesOf(parsePolicy(openPolicy(document).text)),
  });
  const detail = { version, sha256: Buffer.from(sha256).toString('hex') };
  await appendAudit(tx, { actor, act: 'policy.add', subject: name, detail });
  await announce(tx);
  return { name, version };
}

/** Fills in what each document says that was kept before this was. */
export async function fillJudges(db: Queries): Promise<void> {
  const rows = await db.select().from(policy).where(isNull(policy.judges));
  for (const { name, version, document } of rows) {
    const same = and(eq(policy.name, name), eq(policy.version, version));
    const judges = judgesOf(parsePolicy(openPolicy(document).text));
    await db.update(policy).set({ judges }).where(same);
  }
}

/** The newest version of each policy, and to whom it is assigned. */
export async function listPolicies(db: Queries) {
  const { rows } = await db.execute<{
    name: string;
    version: number;
    created_at: string;
    created_by: string;
    assigned_to: string[];
  }>(sql`
    SELECT DISTINCT ON (p.name) p.name, p.version, p.created_at::text AS created_at, p.created_by,
      ARRAY(SELECT a.subject FROM policy_assignment a WHERE a.policy_name = p.name ORDER BY a.subject) AS assigned_to
    FROM policy p ORDER BY p.name, p.version DESC`);
  return rows.map((row) => ({
    name: row.name,
    version: row.version,
    createdAt: new Date(row.created_at).toISOString(),
    createdBy: row.created_by,
    assignedTo: row.assigned_to,
  }));
}

/** @throws {AssayError} `not-found` for a policy that does not exist */
export async function assignPolicy(
  tx: Transaction,
  { subject, policy: name }: { readonly subject: string; readonly policy: string },
  actor: string,
): Promise<void> {
  if (!(await readPolicy(tx, name))) throw unknownPolicy(name);
  await tx
    .insert(policyAssignment)
    .values({ subject, policyName: name, assignedBy: actor })
    .onConflictDoUpdate({
      target: policyAssignment.subject,
      set: { policyName: name, assignedBy: actor, assignedAt: sql`now()` },
    });
  await appendAudit(tx, { actor, act: 'policy.assign', subject, detail: { policy: name } });
  await announce(tx);
}

/** @throws {AssayError} `not-found` when nothing is assigned to that subject */
export async function unassignPolicy(tx: Transaction, subject: string, actor: string): Promise<void> {
  const removed = await tx.delete(policyAssignment).where(eq(policyAssignment.subject, subject)).returning();
  const [row] = removed;
  if (!row) throw new AssayError('not-found', `no policy is assigned to ${subject}`);
  await appendAudit(tx, { actor, act: 'policy.unassign', subject, detail: { policy: row.policyName } });
  await announce(tx);
}

export async function listAssignments(db: Queries) {
  const rows = await db.select().from(policyAssignment).orderBy(asc(policyAssignment.subject));
  return rows.map(({ subject, policyName, assignedBy, assignedAt }) => ({
    subject,
    policy: policyName,
    assignedBy,
    assignedAt: assignedAt.toISOString(),
  }));
}

/** Who has which policy, with the number of its newest version. */
export async function readAssignments(db: Queries) {
  const { rows } = await db.execute<{ subject: string; policy: string; version: number }>(sql`
    SELECT a.subject, a.policy_name AS policy, max(p.version) AS version
    FROM policy_assignment a JOIN policy p ON p.name = a.policy_name
    GROUP BY a.subject, a.policy_name ORDER BY a.subject`);
  return rows;
}

export function unknownPolicy(name: string, version?: number): AssayError {
  return new AssayError(
    'not-found',
    `there is no policy ${name}${version === undefined ? '' : `@${version}`}`,
  );
}

async function announce(tx: Transaction): Promise<void> {
  await tx.execute(sql`SELECT pg_notify(${POLICY_CHANNEL}, '')`);
}
