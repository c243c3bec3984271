import Type from 'typebox';
import { AssayError } from '../../core/errors.ts';
import { Instant, NodeId } from '../../core/messages/common.ts';
import { VerdictRecord } from '../../core/messages/node.ts';
import type { App } from '../../platform/http/server.ts';
import { listVerdicts, readLastEvidence, readVerdictEvidence } from '../store/verdicts.ts';
import type { RoutesDeps } from './deps.ts';

const DEFAULT_LIMIT = 50;
const people = { access: ['admin', 'viewer'] } as const;
const Evidence = Type.Object(
  {
    nodeId: NodeId,
    at: Instant,
    evidence: Type.Unknown({ description: 'What was judged: enough to judge it again' }),
  },
  { title: 'Evidence' },
);

/** What was found about a node, and on what evidence. */
export function historyRoutes(app: App, { database: { db } }: RoutesDeps): void {
  app.get(
    '/v1/nodes/:id/verdicts',
    {
      config: people,
      schema: {
        operationId: 'listVerdicts',
        summary: 'Fails and changes of verdict of a node, the newest first',
        params: Type.Object({ id: NodeId }),
        querystring: Type.Object(
          { limit: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,3}$' })) },
          { additionalProperties: false },
        ),
        response: { 200: Type.Object({ verdicts: Type.Array(VerdictRecord) }) },
      },
    },
    async ({ params: { id }, query }) => ({
      verdicts: await listVerdicts(db, id, Number(query.limit ?? DEFAULT_LIMIT)),
    }),
  );
  app.get(
    '/v1/nodes/:id/evidence',
    {
      config: { ...people, errors: ['not-found'] },
      schema: {
        operationId: 'getLastEvidence',
        summary: "The evidence of the node's last pass",
        params: Type.Object({ id: NodeId }),
        response: { 200: Evidence },
      },
    },
    async ({ params: { id } }) => {
      const found = await readLastEvidence(db, id);
      if (found) return found;
      throw new AssayError('not-found', `node ${id} has not passed yet, or its evidence is not kept`);
    },
  );
  app.get(
    '/v1/verdicts/:id/evidence',
    {
      config: { ...people, errors: ['not-found'] },
      schema: {
        operationId: 'getVerdictEvidence',
        summary: 'The evidence of a verdict; that of fails is kept',
        params: Type.Object({ id: Type.String({ pattern: '^[1-9][0-9]{0,15}$' }) }),
        response: { 200: Evidence },
      },
    },
    async ({ params: { id } }) => {
      const found = await readVerdictEvidence(db, Number(id));
      if (found) return found;
      throw new AssayError('not-found', `there is no evidence of a verdict ${id}`);
    },
  );
}
