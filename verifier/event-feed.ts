import type { TrustEvent } from '../core/messages/node.ts';
import type { Database } from '../platform/database/index.ts';
import type { EventSink } from '../platform/http/sse.ts';
import type { Logger } from '../platform/logging.ts';
import { lastTrustEvent, readTrustEvents } from './store/trust-events.ts';

/** Streams of trust events. Each reader goes on after the last number it saw: numbers have the order of commits. */
export interface EventFeed {
  /** Sends what comes after `seq` (default: from now on), until the sink is closed. */
  follow(sink: EventSink, seq: number | undefined): Promise<void>;
  close(): Promise<void>;
}

const PAGE = 500;
/** A notice can get lost with its connection. */
const LONGEST_SLEEP_MS = 10_000;

export async function openEventFeed(database: Database, logger: Logger): Promise<EventFeed> {
  const sleepers = new Set<() => void>();
  const wakeAll = () => {
    for (const wake of sleepers) wake();
  };
  const listening = await database.listen('assay_trust_event', wakeAll);
  return {
    async follow(sink, after) {
      const bell = doorbell(sleepers, sink.closed);
      try {
        let seq = after ?? (await lastTrustEvent(database.db));
        while (!sink.closed.aborted) {
          const heard = bell.next();
          const events = await readTrustEvents(database.db, seq, PAGE);
          if (!sendAll(sink, events)) return;
          seq = events.at(-1)?.seq ?? seq;
          if (events.length < PAGE) await heard;
        }
      } catch (error) {
        // The client comes back with the last number it saw.
        logger.debug({ err: error }, 'an event stream ended');
        sink.close();
      } finally {
        bell.close();
      }
    },
    async close() {
      await listening.close();
      wakeAll();
    },
  };
}

function sendAll(sink: EventSink, events: readonly TrustEvent[]): boolean {
  return events.every((event) => sink.send(String(event.seq), event));
}

// What rings while a page is read must not be missed: the promise is made before the page is asked for.
function doorbell(sleepers: Set<() => void>, closed: AbortSignal) {
  let ring = () => {};
  const wake = () => ring();
  sleepers.add(wake);
  closed.addEventListener('abort', wake);
  return {
    next: () =>
      new Promise<void>((resolve) => {
        const late = setTimeout(resolve, LONGEST_SLEEP_MS);
        ring = () => {
          clearTimeout(late);
          resolve();
        };
        if (closed.aborted) ring();
      }),
    close: () => {
      sleepers.delete(wake);
      ring();
    },
  };
}
