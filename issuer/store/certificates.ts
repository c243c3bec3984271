import { and, desc, eq, gt, sql } from 'drizzle-orm';
import { toHex } from '../../core/bytes/encoding.ts';
import type { CertificateRecord } from '../../core/messages/node.ts';
import type { Queries } from '../../platform/database/index.ts';
import { certificate, certificateStatus } from '../../platform/database/schema.ts';

export interface CertificateFilter {
  readonly nodeId?: string;
  /** Only those that are neither expired nor revoked. */
  readonly valid: boolean;
  readonly limit: number;
}

/** Recorded certificates, the newest first. */
export async function listCertificates(db: Queries, filter: CertificateFilter): Promise<CertificateRecord[]> {
  const rows = await db
    .select({
      serial: certificate.serial,
      nodeId: certificate.nodeId,
      group: certificate.groupName,
      keyMode: certificate.keyMode,
      notBefore: certificate.notBefore,
      notAfter: certificate.notAfter,
      recordedAt: certificate.recordedAt,
      revoked: certificateStatus.revoked,
      revokedAt: certificateStatus.revokedAt,
      reason: certificateStatus.reason,
    })
    .from(certificate)
    .innerJoin(certificateStatus, eq(certificateStatus.serial, certificate.serial))
    .where(
      and(
        filter.nodeId === undefined ? undefined : eq(certificate.nodeId, filter.nodeId),
        filter.valid ? eq(certificateStatus.revoked, false) : undefined,
        filter.valid ? gt(certificate.notAfter, sql`now()`) : undefined,
      ),
    )
    .orderBy(desc(certificate.seq))
    .limit(filter.limit);
  return rows.map((row) => ({
    ...row,
    serial: toHex(row.serial),
    notBefore: row.notBefore.toISOString(),
    notAfter: row.notAfter.toISOString(),
    recordedAt: row.recordedAt.toISOString(),
    revokedAt: row.revoked ? (row.revokedAt?.toISOString() ?? null) : null,
    reason: row.revoked ? row.reason : null,
  }));
}
