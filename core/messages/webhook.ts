import Type, { type Static } from 'typebox';
import { GroupName, Instant, NodeId, Nullable } from './common.ts';
import { TrustEvent } from './node.ts';

/** What a webhook is sent (Standard Webhooks): one change of trust. */
export const WebhookMessage = Type.Object(
  {
    type: Type.String({
      description: '`node.` and the kind of the event; `test` for one that a person sent',
    }),
    timestamp: Instant,
    data: Type.Object({
      seq: TrustEvent.properties.seq,
      nodeId: NodeId,
      alias: Type.String(),
      group: Nullable(GroupName),
      epoch: TrustEvent.properties.epoch,
      detail: TrustEvent.properties.detail,
    }),
  },
  { title: 'WebhookMessage' },
);
export type WebhookMessage = Static<typeof WebhookMessage>;

/** Verifier's GET /v1/webhooks: how far each has got. */
export const WebhookRecord = Type.Object(
  {
    name: Type.String(),
    url: Type.String({ description: 'without what may be a secret: path and query' }),
    state: Type.Enum(['delivering', 'failing', 'gone']),
    pending: Type.Integer({ description: 'Events that wait for it' }),
    deliveredAt: Nullable(Instant),
    failures: Type.Integer({ description: 'In a row' }),
    lastError: Nullable(Type.String()),
    nextAt: Nullable(Instant),
  },
  { title: 'WebhookRecord' },
);
export type WebhookRecord = Static<typeof WebhookRecord>;
