import { desc, eq } from 'drizzle-orm';
import type { VerdictRecord } from '../../core/messages/node.ts';
import type { Queries } from '../../platform/database/index.ts';
import { lastEvidence, verdict } from '../../platform/database/schema.ts';

/** Evidence as it is shown. */
export interface EvidenceRecord {
  readonly nodeId: string;
  readonly at: string;
  readonly evidence: unknown;
}

export async function listVerdicts(db: Queries, nodeId: string, limit: number): Promise<VerdictRecord[]> {
  const rows = await db
    .select({
      id: verdict.id,
      nodeVersion: verdict.nodeVersion,
      at: verdict.at,
      outcome: verdict.outcome,
      reasons: verdict.reasons,
      policyName: verdict.policyName,
      policyVersion: verdict.policyVersion,
    })
    .from(verdict)
    .where(eq(verdict.nodeId, nodeId))
    .orderBy(desc(verdict.id))
    .limit(limit);
  return rows.map(({ policyName, policyVersion, at, reasons, ...row }) => ({
    ...row,
    nodeId,
    at: at.toISOString(),
    reasons: [...reasons],
    policy: policyName === null ? null : `${policyName}@${policyVersion}`,
  }));
}

export async function readLastEvidence(db: Queries, nodeId: string): Promise<EvidenceRecord | undefined> {
  const [row] = await db.select().from(lastEvidence).where(eq(lastEvidence.nodeId, nodeId));
  return row && { nodeId, at: row.at.toISOString(), evidence: row.evidence };
}

export async function readVerdictEvidence(db: Queries, id: number): Promise<EvidenceRecord | undefined> {
  const [row] = await db.select().from(verdict).where(eq(verdict.id, id));
  if (!row || row.evidence === null) return undefined;
  return { nodeId: row.nodeId, at: row.at.toISOString(), evidence: row.evidence };
}
