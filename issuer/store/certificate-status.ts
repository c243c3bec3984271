import { and, eq, inArray } from 'drizzle-orm';
import { toHex } from '../../core/bytes/encoding.ts';
import type { Queries } from '../../platform/database/index.ts';
import { certificateStatus } from '../../platform/database/schema.ts';
import type { StatusLookup } from '../ocsp/responder.ts';

/** Certificates as the database knows them now: what is revoked by a fail is so from the fail's commit on. */
export function certificateStatusLookup(db: Queries): StatusLookup {
  return async (authoritySha256, serials) => {
    const { serial, revoked, revokedAt, reason } = certificateStatus;
    const rows = await db
      .select({ serial, revoked, revokedAt, reason })
      .from(certificateStatus)
      .where(and(eq(certificateStatus.authoritySha256, authoritySha256), inArray(serial, [...serials])));
    return new Map(rows.map((row) => [toHex(row.serial), row]));
  };
}
