import type { FastifyReply, FastifyRequest } from 'fastify';

const HEARTBEAT_MS = 15_000;
const MAX_PENDING_BYTES = 1024 * 1024;
const ID = /^[\x21-\x7e]{1,100}$/;

export interface EventSink {
  /**
   * False when the client is gone, or reads so slowly that the stream was ended: it comes back with its last id.
   *
   * @param id visible ASCII, at most 100 characters
   */
  send(id: string, data: unknown): boolean;
  /** Aborted when the stream has ended, for whatever reason. */
  readonly closed: AbortSignal;
  close(): void;
}

/** Where a client that comes back wants to go on; undefined at its first visit. */
export function lastEventId(request: FastifyRequest): string | undefined {
  const id = request.headers['last-event-id'];
  return typeof id === 'string' && ID.test(id) ? id : undefined;
}

/** Turns a reply into a stream of Server-Sent Events (WHATWG HTML, 9.2). It ends when the server closes. */
export function openEventStream(
  reply: FastifyReply,
  { heartbeatMs = HEARTBEAT_MS, maxPendingBytes = MAX_PENDING_BYTES } = {},
): EventSink {
  const { raw } = reply;
  reply.hijack();
  raw.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  raw.write(': connected\n\n');
  const end = new AbortController();
  const close = () => void raw.end();
  const streams = streamsOf(reply.server.server);
  streams.add(close);
  const heartbeat = setInterval(() => raw.write(': alive\n\n'), heartbeatMs);
  raw.on('close', () => {
    clearInterval(heartbeat);
    streams.delete(close);
    end.abort();
  });
  return {
    closed: end.signal,
    close,
    send(id, data) {
      if (!ID.test(id)) throw new RangeError(`"${id}" cannot be the id of an event`);
      if (end.signal.aborted || raw.writableEnded) return false;
      raw.write(`id: ${id}\ndata: ${JSON.stringify(data)}\n\n`);
      if (raw.writableLength <= maxPendingBytes) return true;
      // What is pending would never be read: the connection is cut, not drained.
      raw.destroy();
      return false;
    },
  };
}

const openStreams = new WeakMap<object, Set<() => void>>();

function streamsOf(server: object): Set<() => void> {
  const streams = openStreams.get(server) ?? new Set();
  openStreams.set(server, streams);
  return streams;
}

/** Ends all event streams of a server that closes. */
export function closeStreamsOf(server: object): void {
  for (const close of openStreams.get(server) ?? []) close();
}
