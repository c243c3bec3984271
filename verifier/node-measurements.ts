import { eq } from 'drizzle-orm';
import { AssayError } from '../core/errors.ts';
import { inspectEventLog } from '../core/eventlog/index.ts';
import type { Boot, Files } from '../core/messages/measurements.ts';
import type { Queries } from '../platform/database/index.ts';
import { nodeTrust } from '../platform/database/schema.ts';
import { readStored } from './domain/bundle.ts';
import type { ImaProgress } from './domain/ima-progress.ts';
import { listStatistics, measuredPcrs, readOrTell, rulesOfEvent } from './domain/measurements.ts';
import { readBootLog } from './store/boot-logs.ts';
import { readNewestEvidence } from './store/verdicts.ts';

/** How a node booted. @throws {AssayError} `not-found` when no evidence is kept, `conflict` for that of another release */
export async function readNodeBoot(db: Queries, nodeId: string): Promise<Boot> {
  const newest = await readNewestEvidence(db, nodeId);
  if (!newest) throw new AssayError('not-found', `of node ${nodeId} no evidence is kept`);
  const { at, outcome, reasons } = newest;
  const evidence = readStored(newest.evidence);
  const log = async (sha256: string | undefined) =>
    sha256 === undefined ? undefined : readBootLog(db, sha256);
  const { firmware, userspace } = evidence.boot ?? {};
  const logs = { firmware: await log(firmware), userspace: await log(userspace) };
  const problems: string[] = [];
  const shown = (name: keyof typeof logs): Boot['firmware'] => {
    const bytes = logs[name];
    const found = bytes && bytes.length > 0 && readOrTell(() => inspectEventLog(bytes), problems);
    if (!found) return null;
    const events = found.events.map((event) => ({
      ...event,
      rules: rulesOfEvent(reasons, name, event.number),
    }));
    return { ...found, events, warnings: [...found.warnings], banks: [...found.banks] };
  };
  const pcrs = readOrTell(() => measuredPcrs(evidence, logs, reasons), problems) ?? [];
  return {
    ...{ nodeId, at, outcome, bank: evidence.bank },
    pcrs: pcrs.map(({ events, rules, ...pcr }) => ({ ...pcr, events: [...events], rules: [...rules] })),
    firmware: shown('firmware'),
    userspace: shown('userspace'),
    problems: [...new Set(problems)],
  };
}

/** Which files a node used. @throws {AssayError} `not-found` when it was not judged, `conflict` as above */
export async function readNodeFiles(db: Queries, nodeId: string): Promise<Files> {
  const [row] = await db.select({ ima: nodeTrust.ima }).from(nodeTrust).where(eq(nodeTrust.nodeId, nodeId));
  if (!row) throw new AssayError('not-found', `node ${nodeId} was not judged yet`);
  // Written by this service alone.
  const progress = row.ima as ImaProgress | null;
  const newest = await readNewestEvidence(db, nodeId);
  return {
    nodeId,
    judged: progress && {
      entries: progress.entries,
      policy: progress.policy,
      counts: progress.counts ? { ...progress.counts } : null,
    },
    last: newest
      ? {
          ...{ at: newest.at, outcome: newest.outcome },
          list: listStatistics(readStored(newest.evidence)) ?? null,
          failing: newest.reasons.filter(({ rule }) => rule.startsWith('ima.')),
        }
      : null,
  };
}
