import { desc, eq, sql } from 'drizzle-orm';
import { AssayError } from '../../core/errors.ts';
import { appendAudit } from '../../platform/audit.ts';
import type { Queries, Transaction } from '../../platform/database/index.ts';
import { digestSet } from '../../platform/database/schema.ts';
import type { DigestSet } from '../../policies/digests/digest-set.ts';

/** The bytes of a set; undefined when there is none. */
export async function readDigestSet(db: Queries, id: string): Promise<Uint8Array | undefined> {
  const [row] = await db.select({ bytes: digestSet.bytes }).from(digestSet).where(eq(digestSet.id, id));
  return row && new Uint8Array(row.bytes);
}

/** Keeps a set under a name for people. The same content is kept once, under its first name. */
export async function addDigestSet(
  tx: Transaction,
  { name, set }: { readonly name: string; readonly set: DigestSet },
  actor: string,
): Promise<void> {
  const added = await tx
    .insert(digestSet)
    .values({ id: set.id, name, bytes: set.bytes, entries: set.size, createdBy: actor })
    .onConflictDoNothing()
    .returning({ id: digestSet.id });
  if (added.length === 0) return;
  await appendAudit(tx, { actor, act: 'digests.add', subject: set.id, detail: { name, entries: set.size } });
}

export async function listDigestSets(db: Queries) {
  const { id, name, entries, createdAt, createdBy } = digestSet;
  const sizeBytes = sql<number>`length(${digestSet.bytes})`.mapWith(Number);
  const rows = await db
    .select({ id, name, entries, sizeBytes, createdAt, createdBy })
    .from(digestSet)
    .orderBy(desc(createdAt), id);
  return rows.map((row) => ({ ...row, createdAt: row.createdAt.toISOString() }));
}

export async function missingDigestSets(db: Queries, ids: readonly string[]): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const id of ids) {
    const [row] = await db.select({ id: digestSet.id }).from(digestSet).where(eq(digestSet.id, id));
    if (!row) missing.push(id);
  }
  return missing;
}

export function unknownSets(ids: readonly string[]): AssayError {
  return new AssayError(
    'invalid-policy',
    `the policy names digest sets that are not stored: ${ids.join(', ')}; store them with "assay digests add"`,
  );
}
