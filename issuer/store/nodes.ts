import { eq } from 'drizzle-orm';
import type { Queries } from '../../platform/database/index.ts';
import { node } from '../../platform/database/schema.ts';
import type { NodeLookup } from '../../platform/http/principal.ts';

/** The node whose record holds this TLS certificate; also a retired one, which must hear that it is. */
export function nodeByTls(db: Queries): NodeLookup {
  return async (certificateSha256) => {
    const [row] = await db.select({ id: node.id }).from(node).where(eq(node.tlsSha256, certificateSha256));
    return row?.id;
  };
}
