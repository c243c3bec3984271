import { and, eq, isNull, or, type SQL, sql } from 'drizzle-orm';
import type { Transaction } from '../../platform/database/index.ts';
import { inventory, joinToken } from '../../platform/database/schema.ts';
import type { AdmissionDecision, AdmissionFacts, TokenFact } from '../domain/admission.ts';
import type { Candidate } from '../domain/candidate.ts';

/** The inventory entry for a candidate, locked: by its EK before by its certificate; claimed by nobody else. */
export async function findInventory(
  tx: Transaction,
  { nodeId, ekSpkiSha256, ekCertificateName }: Candidate,
): Promise<AdmissionFacts['inventory']> {
  const named: (SQL | undefined)[] = [eq(inventory.ekSha256, ekSpkiSha256)];
  if (ekCertificateName) {
    const { serial, issuer } = ekCertificateName;
    named.push(and(eq(inventory.certificateSerial, serial), eq(inventory.certificateIssuer, issuer)));
  }
  const rows = await tx
    .select({ id: inventory.id, assetName: inventory.assetName, group: inventory.groupName })
    .from(inventory)
    .where(and(or(...named), or(isNull(inventory.nodeId), eq(inventory.nodeId, nodeId))))
    .orderBy(sql`${inventory.ekSha256} IS NULL`)
    .limit(1)
    .for('update');
  return rows[0] ?? null;
}

/** What the candidate's join token is now, locked: two nodes cannot both find it unused. */
export async function findToken(tx: Transaction, tokenSha256: Uint8Array | null): Promise<TokenFact> {
  if (tokenSha256 === null) return { kind: 'none' };
  const rows = await tx
    .select({
      id: joinToken.id,
      group: joinToken.groupName,
      used: sql<boolean>`${joinToken.usedAt} IS NOT NULL`,
      expired: sql<boolean>`${joinToken.expiresAt} <= now()`,
    })
    .from(joinToken)
    .where(eq(joinToken.secretSha256, tokenSha256))
    .for('update');
  const [token] = rows;
  if (!token) return { kind: 'unknown' };
  if (token.used) return { kind: 'used' };
  return token.expired ? { kind: 'expired' } : { kind: 'valid', id: token.id, group: token.group };
}

/** Uses up what admitted the node. */
export async function claim(
  tx: Transaction,
  claims: AdmissionDecision['claims'],
  nodeId: string,
): Promise<void> {
  if (claims === null) return;
  if ('inventory' in claims) {
    await tx.update(inventory).set({ nodeId }).where(eq(inventory.id, claims.inventory));
    return;
  }
  await tx
    .update(joinToken)
    .set({ usedAt: sql`now()`, usedBy: nodeId })
    .where(eq(joinToken.id, claims.token));
}
