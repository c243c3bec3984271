import { eq } from 'drizzle-orm';
import type { Queries } from '../../platform/database/index.ts';
import { lastEvidence } from '../../platform/database/schema.ts';
import { readStored } from '../domain/bundle.ts';
import type { KeptEvidence } from '../domain/kept-evidence.ts';
import { readBootLog } from './boot-logs.ts';

/**
 * The evidence of a node's last pass, if it is kept.
 *
 * @param readLog for many nodes: most of them show the same logs
 * @throws {AssayError} `conflict` for evidence of a release that did not keep enough
 */
export async function readKeptEvidence(
  db: Queries,
  nodeId: string,
  readLog: (sha256: string) => Promise<Uint8Array | undefined> = (sha256) => readBootLog(db, sha256),
): Promise<KeptEvidence | undefined> {
  const [row] = await db.select().from(lastEvidence).where(eq(lastEvidence.nodeId, nodeId));
  if (!row) return undefined;
  const evidence = readStored(row.evidence);
  const { firmware, userspace } = evidence.boot ?? {};
  return {
    ...{ at: row.at, evidence },
    firmware: firmware === undefined ? undefined : await readLog(firmware),
    userspace: userspace === undefined ? undefined : await readLog(userspace),
  };
}
