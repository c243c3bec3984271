import type { FastifyReply } from 'fastify';

const HEARTBEAT_MS = 15_000;

export interface EventSink {
  /** False when the client reads too slowly: it comes back with its last id. */
  send(id: string, data: unknown): boolean;
  readonly closed: AbortSignal;
  close(): void;
}

/** Turns a reply into a stream of Server-Sent Events (WHATWG HTML, 9.2). */
export function openEventStream(reply: FastifyReply): EventSink {
  const { raw } = reply;
  reply.hijack();
  raw.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  raw.write(': connected\n\n');
  const end = new AbortController();
  const heartbeat = setInterval(() => raw.write(': alive\n\n'), HEARTBEAT_MS);
  raw.on('close', () => {
    clearInterval(heartbeat);
    end.abort();
  });
  return {
    closed: end.signal,
    close: () => raw.end(),
    send(id, data) {
      if (end.signal.aborted) return false;
      const roomy = raw.write(`id: ${id}\ndata: ${JSON.stringify(data)}\n\n`);
      if (!roomy) raw.end();
      return roomy;
    },
  };
}
