import { and, asc, eq, inArray, isNull, sql } from 'drizzle-orm';
import { toHex } from '../../core/bytes/encoding.ts';
import type { Queries, Transaction } from '../../platform/database/index.ts';
import { trustAnchor } from '../../platform/database/schema.ts';

export interface NewAnchor {
  readonly sha256: Uint8Array;
  readonly der: Uint8Array;
  readonly subject: string;
  readonly kind: 'root' | 'intermediate';
}

export type AnchorRow = typeof trustAnchor.$inferSelect;

/** Told to all registrars in the transaction that changes what is trusted. */
export const ANCHORS_CHANGED = 'assay_trust_anchor';

const BATCH = 100;

export async function listAnchors(db: Queries): Promise<AnchorRow[]> {
  return db
    .select()
    .from(trustAnchor)
    .where(isNull(trustAnchor.removedAt))
    .orderBy(asc(trustAnchor.kind), asc(trustAnchor.subject), asc(trustAnchor.sha256));
}

/** Adds what is not there. One that a person removed stays removed: it is shipped, not asked for. */
export async function addShippedAnchors(
  tx: Transaction,
  anchors: readonly (NewAnchor & { readonly source: string })[],
): Promise<number> {
  let added = 0;
  for (let start = 0; start < anchors.length; start += BATCH) {
    const values = anchors.slice(start, start + BATCH).map((anchor) => ({ ...anchor, addedBy: 'release' }));
    const rows = await tx
      .insert(trustAnchor)
      .values(values)
      .onConflictDoNothing()
      .returning({ subject: trustAnchor.subject });
    added += rows.length;
  }
  if (added > 0) await tellAll(tx);
  return added;
}

/** Adds what a person trusts, also what was removed before. @returns the rows that are new */
export async function addAnchors(
  tx: Transaction,
  anchors: readonly NewAnchor[],
  addedBy: string,
): Promise<AnchorRow[]> {
  if (anchors.length === 0) return [];
  const hashes = anchors.map(({ sha256 }) => sha256);
  const present = await tx
    .select({ sha256: trustAnchor.sha256 })
    .from(trustAnchor)
    .where(and(inArray(trustAnchor.sha256, hashes), isNull(trustAnchor.removedAt)));
  const known = new Set(present.map(({ sha256 }) => toHex(sha256)));
  const missing = anchors.filter(({ sha256 }) => !known.has(toHex(sha256)));
  if (missing.length === 0) return [];
  await tellAll(tx);
  return tx
    .insert(trustAnchor)
    .values(missing.map((anchor) => ({ ...anchor, source: 'added', addedBy })))
    .onConflictDoUpdate({
      target: trustAnchor.sha256,
      set: { removedAt: null, source: 'added', addedBy, addedAt: sql`now()` },
    })
    .returning();
}

/** Those whose SHA-256 begins so, in hex. */
export async function findAnchors(tx: Transaction, prefix: string): Promise<AnchorRow[]> {
  return tx
    .select()
    .from(trustAnchor)
    .where(
      and(
        isNull(trustAnchor.removedAt),
        sql`left(encode(${trustAnchor.sha256}, 'hex'), ${prefix.length}) = ${prefix}`,
      ),
    )
    .limit(2);
}

/** Ends trust in a certificate. Its row stays, so that it does not come back with the next start. */
export async function removeAnchor(tx: Transaction, sha256: Uint8Array): Promise<void> {
  await tx.update(trustAnchor).set({ removedAt: sql`now()` }).where(eq(trustAnchor.sha256, sha256));
  await tellAll(tx);
}

async function tellAll(tx: Transaction): Promise<void> {
  await tx.execute(sql`SELECT pg_notify(${ANCHORS_CHANGED}, '')`);
}
