import type { TierFacts } from '../core/result/tier.ts';
import type { NodeState, node, nodeTrust, policy } from './database/schema.ts';

/** A node's record, its derived state and, when the verifier has seen it, what it thinks of it. */
export interface TierRow {
  readonly record: typeof node.$inferSelect;
  readonly state: NodeState;
  readonly trust: typeof nodeTrust.$inferSelect | null;
  /** Of the policy of the last verdict. */
  readonly judges: (typeof policy.$inferSelect)['judges'];
}

/** What the tier of a node follows from, as the database has it. */
export function tierFacts({ record, state, trust, judges }: TierRow): TierFacts {
  return {
    state,
    outcome: trust?.outcome ?? null,
    judged: judges && { boot: judges.includes('boot'), files: judges.includes('files') },
    ekCertified: record.ekCertificate !== null && record.ekPath.length > 0,
    // A stock Keylime agent's quotes bind a key of its payload (rule quote.channel).
    channelBound: record.protocol !== 'keylime' && record.tlsCertificate !== null,
  };
}
