import { createHash } from 'node:crypto';
import { AssayError } from '../core/errors.ts';
import { appendAudit } from '../platform/audit.ts';
import type { Transaction } from '../platform/database/index.ts';
import { type InventoryLine, inventoryKey, parseInventory } from './domain/inventory-csv.ts';
import { findSameEntries, type InventoryRow, insertInventory } from './store/inventory.ts';

export interface ImportResult {
  readonly added: number;
  readonly unchanged: number;
}

/**
 * Adds the entries of a CSV file, all or none. An entry that is there already, the same in all, is left alone.
 *
 * @throws {AssayError} `invalid-request` for a faulty file, `conflict` for entries that are there with other values
 */
export async function importInventory(
  tx: Transaction,
  csv: string,
  actor: string,
  newId: () => string,
): Promise<ImportResult> {
  const lines = parseInventory(csv);
  const existing = await findSameEntries(tx, lines);
  const conflicts = lines.filter((line) => differs(line, existing.get(inventoryKey(line))));
  if (conflicts.length > 0) {
    const details = conflicts.slice(0, 20).map((line) => ({ message: describe(line, existing) }));
    throw new AssayError(
      'conflict',
      `${conflicts.length} entries are in the inventory with other values; remove those first`,
      { details },
    );
  }
  const added = lines.filter((line) => !existing.has(inventoryKey(line)));
  await insertInventory(
    tx,
    added.map((line) => ({ ...line, id: newId() })),
    actor,
  );
  const sha256 = createHash('sha256').update(csv).digest('hex');
  const result = { added: added.length, unchanged: lines.length - added.length };
  await appendAudit(tx, {
    actor,
    act: 'inventory.import',
    subject: `sha256:${sha256}`,
    detail: { ...result },
  });
  return result;
}

function differs(line: InventoryLine, row: InventoryRow | undefined): boolean {
  return row !== undefined && (row.assetName !== line.assetName || row.group !== line.group);
}

function describe(line: InventoryLine, existing: ReadonlyMap<string, InventoryRow>): string {
  const row = existing.get(inventoryKey(line));
  return `line ${line.line}: ${line.assetName} in ${line.group} is there as ${row?.assetName} in ${row?.group} (entry ${row?.id})`;
}
