import { printable } from '../../core/bytes/encoding.ts';
import type { NodeSelf } from '../../core/messages/enrolment.ts';
import type { Queries } from '../../platform/database/index.ts';
import { unknownNode } from '../store/lifecycle.ts';
import { findNode } from '../store/node-queries.ts';

/** What a node may know of its own record. @throws {AssayError} `not-found` */
export async function selfOf(db: Queries, nodeId: string): Promise<NodeSelf> {
  const row = await findNode(db, nodeId);
  if (!row) throw unknownNode(nodeId);
  const { record, state } = row;
  return {
    nodeId,
    version: record.version,
    alias: record.alias,
    state,
    group: record.groupName,
    admission: printable(record.admissionReason),
    notes: record.ekNotes.map((note) => ({ ...note })),
  };
}
