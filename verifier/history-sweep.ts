import { pause } from '../platform/backoff.ts';
import type { Database } from '../platform/database/index.ts';
import type { Outcome } from '../platform/database/schema.ts';
import { removeOldBootLogs } from './store/boot-logs.ts';
import { OLDEST, removeOldVerdicts } from './store/history.ts';

/** How long verdicts are kept. */
export interface HistoryRetention {
  readonly failsMs: number;
  /** Of passes, and of what could not be decided. */
  readonly passesMs: number;
}

interface HistorySweepOptions {
  readonly database: Pick<Database, 'pool'>;
  readonly retention: HistoryRetention;
  readonly onRemoved: (outcome: Outcome, rows: number) => void;
  readonly signal: AbortSignal;
  /** Verdicts in one transaction. */
  readonly batch?: number;
}

const BATCH = 500;
/** Between two batches, so that deleting much leaves the database to those who attest. */
const BREATH_MS = 50;

/** Deletes verdicts that are older than what is kept, batch by batch, and boot logs that none can name. Several processes may do it at once. */
export async function sweepHistory(options: HistorySweepOptions): Promise<void> {
  const { failsMs, passesMs } = options.retention;
  await sweep(options, 'fail', failsMs);
  await sweep(options, 'pass', passesMs);
  await sweep(options, 'inconclusive', passesMs);
  if (!options.signal.aborted) await removeOldBootLogs(options.database, Math.max(failsMs, passesMs));
}

async function sweep(options: HistorySweepOptions, outcome: Outcome, keptMs: number): Promise<void> {
  const { database, onRemoved, signal, batch: limit = BATCH } = options;
  for (let from = OLDEST; !signal.aborted; ) {
    const { removed, next } = await removeOldVerdicts(database, from, { outcome, keptMs, limit });
    if (removed > 0) onRemoved(outcome, removed);
    if (next === undefined) return;
    from = next;
    await pause(BREATH_MS, signal);
  }
}
