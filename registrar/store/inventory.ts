import { asc, eq, inArray, sql } from 'drizzle-orm';
import { fromHex, toHex } from '../../core/bytes/encoding.ts';
import type { Queries, Transaction } from '../../platform/database/index.ts';
import { inventory } from '../../platform/database/schema.ts';
import { type InventoryEntry, inventoryKey } from '../domain/inventory-csv.ts';

export interface InventoryRow {
  readonly id: string;
  readonly ekSha256: string | null;
  readonly certificateSerial: string | null;
  readonly certificateIssuer: string | null;
  readonly assetName: string;
  readonly group: string;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly nodeId: string | null;
}

const BATCH = 1000;

export async function listInventory(db: Queries | Transaction): Promise<InventoryRow[]> {
  const rows = await db.select().from(inventory).orderBy(asc(inventory.assetName), asc(inventory.id));
  return rows.map(toRow);
}

/** The entries that name the same EKs or certificates as these, by inventoryKey. Imports wait for each other. */
export async function findSameEntries(
  tx: Transaction,
  entries: readonly InventoryEntry[],
): Promise<ReadonlyMap<string, InventoryRow>> {
  await tx.execute(sql`LOCK TABLE ${inventory} IN SHARE ROW EXCLUSIVE MODE`);
  const found = new Map<string, InventoryRow>();
  for (let start = 0; start < entries.length; start += BATCH) {
    for (const row of await findBatch(tx, entries.slice(start, start + BATCH))) found.set(keyOf(row), row);
  }
  return found;
}

async function findBatch(tx: Transaction, entries: readonly InventoryEntry[]): Promise<InventoryRow[]> {
  const hashes = entries.flatMap(({ ekSha256 }) =>
    ekSha256 === null ? [] : [fromHex(ekSha256, 'ek_sha256')],
  );
  const serials = entries.flatMap(({ certificate }) => (certificate ? [certificate.serial] : []));
  const byHash =
    hashes.length === 0 ? [] : await tx.select().from(inventory).where(inArray(inventory.ekSha256, hashes));
  const bySerial =
    serials.length === 0
      ? []
      : await tx.select().from(inventory).where(inArray(inventory.certificateSerial, serials));
  return [...byHash, ...bySerial].map(toRow);
}

export async function insertInventory(
  tx: Transaction,
  entries: readonly (InventoryEntry & { readonly id: string })[],
  createdBy: string,
): Promise<void> {
  for (let start = 0; start < entries.length; start += BATCH) {
    await tx.insert(inventory).values(
      entries.slice(start, start + BATCH).map((entry) => ({
        id: entry.id,
        ekSha256: entry.ekSha256 === null ? null : fromHex(entry.ekSha256, 'ek_sha256'),
        certificateSerial: entry.certificate?.serial ?? null,
        certificateIssuer: entry.certificate?.issuer ?? null,
        assetName: entry.assetName,
        groupName: entry.group,
        createdBy,
      })),
    );
  }
}

export async function deleteInventory(tx: Transaction, id: string): Promise<InventoryRow | undefined> {
  const rows = await tx.delete(inventory).where(eq(inventory.id, id)).returning();
  return rows[0] && toRow(rows[0]);
}

function keyOf({ ekSha256, certificateSerial: serial, certificateIssuer: issuer }: InventoryRow): string {
  const certificate = serial === null || issuer === null ? null : { serial, issuer };
  return inventoryKey({ ekSha256, certificate, assetName: '', group: '' });
}

function toRow({ groupName, ekSha256, ...row }: typeof inventory.$inferSelect): InventoryRow {
  return { ...row, group: groupName, ekSha256: ekSha256 && toHex(ekSha256) };
}
