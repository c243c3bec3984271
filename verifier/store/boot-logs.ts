import { eq, sql } from 'drizzle-orm';
import type { Database, Queries } from '../../platform/database/index.ts';
import { bootLog } from '../../platform/database/schema.ts';

/** The bytes of a log; undefined when it is not kept. */
export async function readBootLog(db: Queries, sha256: string): Promise<Uint8Array | undefined> {
  const [row] = await db.select({ bytes: bootLog.bytes }).from(bootLog).where(eq(bootLog.sha256, sha256));
  return row && new Uint8Array(row.bytes);
}

/** Keeps a log, or says that it is still shown. */
export async function keepBootLog(db: Queries, sha256: string, bytes: Uint8Array): Promise<void> {
  await db
    .insert(bootLog)
    .values({ sha256, bytes: Buffer.from(bytes) })
    .onConflictDoUpdate({ target: bootLog.sha256, set: { seenAt: sql`now()` } });
}

/** Says that a log is still shown. @returns whether it is kept */
export async function touchBootLog(db: Queries, sha256: string): Promise<boolean> {
  const rows = await db
    .update(bootLog)
    .set({ seenAt: sql`now()` })
    .where(eq(bootLog.sha256, sha256))
    .returning({ sha256: bootLog.sha256 });
  return rows.length > 0;
}

/** Deletes logs that no node has shown for as long as evidence is kept. */
export async function removeOldBootLogs({ pool }: Pick<Database, 'pool'>, keptMs: number): Promise<number> {
  const { rowCount } = await pool.query(
    "DELETE FROM boot_log WHERE seen_at < now() - $1::float8 * interval '1 millisecond' - interval '1 day'",
    [keptMs],
  );
  return rowCount ?? 0;
}

/** A fleet has few kinds of machines. */
const LOGS_REMEMBERED = 8;

type ReadLog = (sha256: string) => Promise<Uint8Array | undefined>;

/** Remembers the logs that were read last, while many nodes are judged. */
export function recentLogs(read: ReadLog): ReadLog {
  const known = new Map<string, Uint8Array>();
  return async (sha256) => {
    const found = known.get(sha256) ?? (await read(sha256));
    known.delete(sha256);
    if (found) known.set(sha256, found);
    const [oldest] = known.keys();
    if (known.size > LOGS_REMEMBERED && oldest !== undefined) known.delete(oldest);
    return found;
  };
}
