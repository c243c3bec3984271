import { and, desc, eq, isNull, sql } from 'drizzle-orm';
import type { Queries, Transaction } from '../../platform/database/index.ts';
import { joinToken } from '../../platform/database/schema.ts';

export interface NewToken {
  readonly id: string;
  readonly secretSha256: Uint8Array;
  readonly group: string;
  readonly note: string;
  readonly createdBy: string;
  readonly ttlSeconds: number;
}

/** What people see of a token; the token itself is not kept. */
export interface TokenRow {
  readonly id: string;
  readonly group: string;
  readonly note: string;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly usedAt: Date | null;
  readonly usedBy: string | null;
}

/** @returns when the token expires, by the database's clock */
export async function insertToken(tx: Transaction, token: NewToken): Promise<Date> {
  const { group, ttlSeconds, ...columns } = token;
  const rows = await tx
    .insert(joinToken)
    .values({ ...columns, groupName: group, expiresAt: sql`now() + make_interval(secs => ${ttlSeconds})` })
    .returning({ expiresAt: joinToken.expiresAt });
  const [row] = rows;
  if (!row) throw new Error('INSERT … RETURNING gave no row');
  return row.expiresAt;
}

export async function listTokens(db: Queries): Promise<TokenRow[]> {
  return db
    .select({
      id: joinToken.id,
      group: joinToken.groupName,
      note: joinToken.note,
      createdBy: joinToken.createdBy,
      createdAt: joinToken.createdAt,
      expiresAt: joinToken.expiresAt,
      usedAt: joinToken.usedAt,
      usedBy: joinToken.usedBy,
    })
    .from(joinToken)
    .orderBy(desc(joinToken.createdAt), joinToken.id);
}

/** Removes a token that nobody has used; a used one stays as a record. */
export async function deleteUnusedToken(tx: Transaction, id: string): Promise<boolean> {
  const rows = await tx
    .delete(joinToken)
    .where(and(eq(joinToken.id, id), isNull(joinToken.usedAt)))
    .returning({ id: joinToken.id });
  return rows.length > 0;
}
