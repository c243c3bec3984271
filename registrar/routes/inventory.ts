import Type from 'typebox';
import { AssayError } from '../../core/errors.ts';
import { GroupName, Instant, NodeId, Sha256Hex } from '../../core/messages/common.ts';
import { appendAudit } from '../../platform/audit.ts';
import { actorOf } from '../../platform/http/principal.ts';
import type { App } from '../../platform/http/server.ts';
import { importInventory } from '../inventory-import.ts';
import { deleteInventory, listInventory } from '../store/inventory.ts';
import type { RoutesDeps } from './deps.ts';

const BODY_LIMIT = 4 * 1024 * 1024;

const Nullable = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const InventoryRow = Type.Object(
  {
    id: Type.String(),
    ekSha256: Nullable(Sha256Hex),
    certificateSerial: Nullable(Type.String()),
    certificateIssuer: Nullable(Type.String()),
    assetName: Type.String(),
    group: GroupName,
    createdBy: Type.String(),
    createdAt: Instant,
    nodeId: Nullable(NodeId),
  },
  { title: 'InventoryEntry' },
);

/** Nodes that are expected. */
export function inventoryRoutes(app: App, { database, newId }: RoutesDeps): void {
  app.addContentTypeParser('text/csv', { parseAs: 'string' }, (_request, body, done) => done(null, body));
  app.get(
    '/v1/inventory',
    {
      config: { access: ['admin', 'viewer'] },
      schema: {
        operationId: 'listInventory',
        summary: 'What is expected, and which node claimed it',
        response: { 200: Type.Object({ entries: Type.Array(InventoryRow) }) },
      },
    },
    async () => {
      const rows = await listInventory(database.db);
      return { entries: rows.map((row) => ({ ...row, createdAt: row.createdAt.toISOString() })) };
    },
  );
  app.post(
    '/v1/inventory',
    {
      config: { access: ['admin'], errors: ['conflict'] },
      bodyLimit: BODY_LIMIT,
      schema: {
        operationId: 'importInventory',
        summary: 'Add the entries of a CSV file, all or none',
        description:
          "The header is `ek_sha256,certificate_serial,certificate_issuer,asset_name,group`; a row has either the EK's SHA-256 or serial and issuer of its certificate. What is there already counts as unchanged.",
        consumes: ['text/csv'],
        body: Type.String({ maxLength: BODY_LIMIT }),
        response: { 200: Type.Object({ added: Type.Integer(), unchanged: Type.Integer() }) },
      },
    },
    async ({ body, principal }) =>
      database.transaction((tx) => importInventory(tx, body, actorOf(principal), newId)),
  );
  app.delete(
    '/v1/inventory/:id',
    {
      config: { access: ['admin'], errors: ['not-found'] },
      schema: {
        operationId: 'removeInventory',
        summary: 'No longer expect a node; one that was admitted stays',
        params: Type.Object({ id: Type.String({ format: 'uuid' }) }),
        response: { 204: Type.Null() },
      },
    },
    async ({ params, principal }, reply) => {
      await database.transaction(async (tx) => {
        const row = await deleteInventory(tx, params.id);
        if (!row) throw new AssayError('not-found', `there is no inventory entry ${params.id}`);
        const { assetName, group } = row;
        const entry = { actor: actorOf(principal), act: 'inventory.remove', subject: params.id };
        await appendAudit(tx, { ...entry, detail: { assetName, group } });
      });
      return reply.status(204).send(null);
    },
  );
}
