import { and, asc, eq, gte, sql } from 'drizzle-orm';
import type { Database, Transaction } from '../../platform/database/index.ts';
import { certificateStatus, crl } from '../../platform/database/schema.ts';
import type { CrlStore, PublishedCrl } from '../crl/publisher.ts';
import type { RevokedCertificate } from '../domain/revocation.ts';

const clock = sql<Date>`clock_timestamp()`.mapWith((value: unknown) => new Date(String(value)));

/** CRLs in PostgreSQL. The row of an issuing CA is locked while its next CRL is made: any number of issuers number one sequence. */
export function crlStore(database: Database): CrlStore {
  return {
    async current(authoritySha256) {
      const [row] = await database.db.select().from(crl).where(eq(crl.authoritySha256, authoritySha256));
      return row && published(row);
    },
    next: (authoritySha256, make) =>
      database.transaction(async (tx) => {
        const { previous, now } = await lock(tx, authoritySha256);
        const revoked = await revokedSince(tx, authoritySha256, previous?.thisUpdate ?? now);
        const made = await make({ previous, now, revoked });
        if (!made) return previous;
        const row = { ...made, number: Number(made.number), authoritySha256 };
        await tx.update(crl).set(row).where(eq(crl.authoritySha256, authoritySha256));
        return made;
      }),
  };
}

interface CrlRow {
  readonly number: number;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly contentSha256: Uint8Array;
  readonly der: Uint8Array;
}

/** Number 0 is the row that exists to be locked, before the first CRL. */
function published(row: CrlRow): PublishedCrl | undefined {
  if (row.number === 0) return undefined;
  return { ...row, number: BigInt(row.number) };
}

async function lock(tx: Transaction, authoritySha256: Uint8Array) {
  const empty = new Uint8Array();
  const nothing = {
    number: 0,
    thisUpdate: sql`now()`,
    nextUpdate: sql`now()`,
    contentSha256: empty,
    der: empty,
  };
  await tx
    .insert(crl)
    .values({ authoritySha256, ...nothing })
    .onConflictDoNothing();
  const [row] = await tx.select().from(crl).where(eq(crl.authoritySha256, authoritySha256)).for('update');
  const [time] = await tx.select({ now: clock }).from(sql`(SELECT 1) AS one`);
  return { previous: row && published(row), now: time?.now ?? new Date(Number.NaN) };
}

/** An entry stays until a CRL was made after the certificate's end (RFC 5280, 3.3). */
async function revokedSince(
  tx: Transaction,
  authoritySha256: Uint8Array,
  since: Date,
): Promise<readonly RevokedCertificate[]> {
  return tx
    .select({
      serial: certificateStatus.serial,
      revokedAt: certificateStatus.revokedAt,
      reason: certificateStatus.reason,
    })
    .from(certificateStatus)
    .where(
      and(
        eq(certificateStatus.authoritySha256, authoritySha256),
        eq(certificateStatus.revoked, true),
        gte(certificateStatus.notAfter, since),
      ),
    )
    .orderBy(asc(certificateStatus.serial));
}
