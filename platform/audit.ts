import { asc, gt, sql } from 'drizzle-orm';
import { AUDIT_ROOT, type AuditEntry, auditHash } from '../core/audit.ts';
import { equalBytes } from '../core/bytes/encoding.ts';
import type { Queries, Transaction } from './database/index.ts';
import { auditLog } from './database/schema.ts';

const LOCK = 4_711_044;
const PAGE = 1000;

/** Adds an entry in the caller's transaction: the act and its record are committed together or not at all. */
export async function appendAudit(
  tx: Transaction,
  act: Pick<AuditEntry, 'actor' | 'act' | 'subject'> & {
    readonly detail?: Readonly<Record<string, unknown>>;
  },
): Promise<void> {
  await tx.execute(sql`SELECT pg_advisory_xact_lock(${LOCK})`);
  const last = await tx.execute<{ seq: string; hash: Buffer; now: Date }>(
    sql`SELECT coalesce(max(seq), 0)::text AS seq, (SELECT hash FROM audit_log ORDER BY seq DESC LIMIT 1) AS hash,
        date_trunc('milliseconds', clock_timestamp()) AS now FROM audit_log`,
  );
  const before = last.rows[0];
  const previousHash = before?.hash ? new Uint8Array(before.hash) : AUDIT_ROOT;
  const at = new Date(before?.now ?? 0);
  // What is hashed is what the database gives back: no dates, no undefined.
  const detail: AuditEntry['detail'] = JSON.parse(JSON.stringify(act.detail ?? {}));
  const entry = {
    actor: act.actor,
    act: act.act,
    subject: act.subject,
    detail,
    seq: Number(before?.seq ?? 0) + 1,
  };
  const hash = auditHash(previousHash, { ...entry, at: at.toISOString() });
  await tx.insert(auditLog).values({ ...entry, at, previousHash, hash });
}

export interface AuditVerification {
  readonly ok: boolean;
  readonly entries: number;
  /** Sequence number of the first entry that does not fit the one before it. */
  readonly firstBroken: number | null;
}

/** Recomputes the chain from the first entry. Entries cut off at the end show only against a hash kept elsewhere. */
export async function verifyAudit(db: Queries): Promise<AuditVerification> {
  let previous: Uint8Array = AUDIT_ROOT;
  let seq = 0;
  for (;;) {
    const rows = await db
      .select()
      .from(auditLog)
      .where(gt(auditLog.seq, seq))
      .orderBy(asc(auditLog.seq))
      .limit(PAGE);
    for (const row of rows) {
      const hash = auditHash(previous, { ...row, at: row.at.toISOString() });
      const whole =
        row.seq === seq + 1 && equalBytes(row.previousHash, previous) && equalBytes(row.hash, hash);
      if (!whole) return { ok: false, entries: seq, firstBroken: row.seq };
      seq = row.seq;
      previous = hash;
    }
    if (rows.length < PAGE) return { ok: true, entries: seq, firstBroken: null };
  }
}
