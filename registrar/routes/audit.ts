import Type from 'typebox';
import { printable, toHex } from '../../core/bytes/encoding.ts';
import { Instant, Sha256Hex } from '../../core/messages/common.ts';
import { verifyAudit } from '../../platform/audit.ts';
import type { App } from '../../platform/http/server.ts';
import { listAudit } from '../store/audit.ts';
import type { RoutesDeps } from './deps.ts';

const MAX_PAGE = 1000;

const AuditRecord = Type.Object(
  {
    seq: Type.Integer(),
    at: Instant,
    actor: Type.String(),
    act: Type.String(),
    subject: Type.String(),
    detail: Type.Record(Type.String(), Type.Unknown()),
    hash: Sha256Hex,
  },
  { title: 'AuditRecord' },
);
const Whole = Type.Integer({ minimum: 0 });

/** Acts of people and changes of trust, of all services. */
export function auditRoutes(app: App, { database: { db } }: RoutesDeps): void {
  app.get(
    '/v1/audit',
    {
      config: { access: ['admin', 'viewer'] },
      schema: {
        operationId: 'listAudit',
        summary: 'The audit log, oldest first, after an entry',
        description: 'A page at a time: ask again with `after` = the last `seq`, until nothing comes.',
        querystring: Type.Object(
          {
            after: Type.Optional(Type.String({ pattern: '^[0-9]{1,15}$' })),
            limit: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,5}$' })),
          },
          { additionalProperties: false },
        ),
        response: { 200: Type.Object({ entries: Type.Array(AuditRecord) }) },
      },
    },
    async ({ query }) => {
      const limit = Math.min(Number(query.limit ?? 100), MAX_PAGE);
      const rows = await listAudit(db, Number(query.after ?? 0), limit);
      const entries = rows.map(({ seq, at, actor, act, subject, detail, hash }) => ({
        seq,
        at: at.toISOString(),
        actor: printable(actor),
        act,
        subject: printable(subject),
        detail: { ...detail },
        hash: toHex(hash),
      }));
      return { entries };
    },
  );
  app.get(
    '/v1/audit/verification',
    {
      config: { access: ['admin', 'viewer'] },
      schema: {
        operationId: 'verifyAudit',
        summary: 'Recomputes the hash chain',
        description:
          '`firstBroken` is the `seq` of the first entry that was changed, or whose predecessor is gone.',
        response: {
          200: Type.Object({
            ok: Type.Boolean(),
            entries: Whole,
            firstBroken: Type.Union([Whole, Type.Null()]),
          }),
        },
      },
    },
    async () => verifyAudit(db),
  );
}
