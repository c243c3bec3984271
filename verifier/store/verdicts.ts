import { and, desc, eq, isNotNull } from 'drizzle-orm';
import type { Finding } from '../../core/finding.ts';
import type { VerdictRecord } from '../../core/messages/node.ts';
import type { Queries } from '../../platform/database/index.ts';
import { lastEvidence, type Outcome, verdict } from '../../platform/database/schema.ts';

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

/** What a node showed last, as far as that is kept, and how it was judged. */
export interface NewestEvidence extends EvidenceRecord {
  readonly outcome: Outcome;
  readonly reasons: readonly Finding[];
}

export async function readNewestEvidence(db: Queries, nodeId: string): Promise<NewestEvidence | undefined> {
  const [failed] = await db
    .select()
    .from(verdict)
    .where(and(eq(verdict.nodeId, nodeId), isNotNull(verdict.evidence)))
    .orderBy(desc(verdict.id))
    .limit(1);
  const passed = await readLastEvidence(db, nodeId);
  if (!failed || (passed && passed.at > failed.at.toISOString()))
    return passed && { ...passed, outcome: 'pass', reasons: [] };
  const { at, evidence, outcome, reasons } = failed;
  return { nodeId, at: at.toISOString(), evidence, outcome, reasons };
}

export async function readVerdictEvidence(db: Queries, id: number): Promise<EvidenceRecord | undefined> {
  const [row] = await db.select().from(verdict).where(eq(verdict.id, id));
  if (!row || row.evidence === null) return undefined;
  return { nodeId: row.nodeId, at: row.at.toISOString(), evidence: row.evidence };
}
