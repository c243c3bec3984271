import { asc, gt } from 'drizzle-orm';
import type { Queries } from '../../platform/database/index.ts';
import { auditLog } from '../../platform/database/schema.ts';

/** Entries after `seq`, oldest first. */
export async function listAudit(
  db: Queries,
  seq: number,
  limit: number,
): Promise<(typeof auditLog.$inferSelect)[]> {
  return db.select().from(auditLog).where(gt(auditLog.seq, seq)).orderBy(asc(auditLog.seq)).limit(limit);
}
