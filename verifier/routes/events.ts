import Type from 'typebox';
import { AssayError } from '../../core/errors.ts';
import { TrustEvent } from '../../core/messages/node.ts';
import type { App } from '../../platform/http/server.ts';
import { lastEventId, openEventStream } from '../../platform/http/sse.ts';
import type { RoutesDeps } from './deps.ts';

/** Changes of trust as they happen. */
export function eventRoutes(app: App, { events }: RoutesDeps): void {
  app.get(
    '/v1/events',
    {
      // A stream has no end, so HEAD would keep its connection.
      exposeHeadRoute: false,
      config: { access: ['admin', 'viewer'] },
      schema: {
        operationId: 'streamEvents',
        summary: 'Changes of trust as Server-Sent Events',
        description:
          'With Last-Event-ID it goes on after the event with that `seq`, without it with the next one.',
        querystring: Type.Object(
          {
            after: Type.Optional(Type.String({ pattern: '^[0-9]{1,15}$', description: 'as Last-Event-ID' })),
          },
          { additionalProperties: false },
        ),
        response: {
          200: {
            description: 'The `data` of each event; its `id` is `seq`',
            content: { 'text/event-stream': { schema: TrustEvent } },
          },
        },
      },
    },
    async (request, reply) => {
      const after = lastEventId(request) ?? request.query.after;
      if (after !== undefined && !/^[0-9]{1,15}$/.test(after)) {
        throw new AssayError('invalid-request', 'Last-Event-ID is not the seq of an event');
      }
      const sink = openEventStream(reply);
      // It lasts as long as the client stays.
      void events.follow(sink, after === undefined ? undefined : Number(after));
      return reply;
    },
  );
}
