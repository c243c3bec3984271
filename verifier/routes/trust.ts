import Type from 'typebox';
import { AssayError } from '../../core/errors.ts';
import { ActReason, Finding, NodeId, Outcome } from '../../core/messages/common.ts';
import { actorOf } from '../../platform/http/principal.ts';
import type { App } from '../../platform/http/server.ts';
import { attestOnce } from '../attest-once.ts';
import { banNode, unbanNode } from '../store/bans.ts';
import type { RoutesDeps } from './deps.ts';

const Named = Type.Object({ id: NodeId });
const Done = Type.Object({ id: NodeId, standing: Type.Enum(['banned', 'unknown']) }, { title: 'Standing' });

/** What people decide about a node's trust. */
export function trustRoutes(app: App, deps: RoutesDeps): void {
  const { database } = deps;
  app.post(
    '/v1/nodes/:id/ban',
    {
      config: { access: ['admin'], errors: ['not-found', 'conflict'] },
      schema: {
        operationId: 'banNode',
        summary: 'Ban a node now',
        description:
          'Ends trust at once and revokes every certificate of the node. It stays banned until a person lifts it.',
        params: Named,
        body: ActReason,
        response: { 200: Done },
      },
    },
    async ({ params: { id }, body: { reason }, principal }) => {
      const act = { nodeId: id, reason, actor: actorOf(principal) };
      const { epoch } = await database.transaction((tx) => banNode(tx, act));
      // The ban stands; whether the agent can be told now must not keep the person waiting.
      void deps.notify(id, epoch);
      return { id, standing: 'banned' as const };
    },
  );
  app.post(
    '/v1/nodes/:id/unban',
    {
      config: { access: ['admin'], errors: ['not-found', 'conflict'] },
      schema: {
        operationId: 'unbanNode',
        summary: 'Lift a ban or a fail; the node must pass before it is trusted',
        params: Named,
        body: ActReason,
        response: { 200: Done },
      },
    },
    async ({ params: { id }, body: { reason }, principal }) => {
      await database.transaction((tx) => unbanNode(tx, { nodeId: id, reason, actor: actorOf(principal) }));
      return { id, standing: 'unknown' as const };
    },
  );
  app.post(
    '/v1/nodes/:id/attest',
    {
      config: { access: ['admin'], errors: ['not-found', 'conflict'] },
      schema: {
        operationId: 'attestNode',
        summary: 'Attest a node now and answer the verdict',
        description: 'Waits for the verdict; `unavailable` when no verifier came to one in time.',
        params: Named,
        response: { 200: Type.Object({ outcome: Outcome, reasons: Type.Array(Finding) }) },
      },
    },
    async ({ params: { id } }) => {
      const verdict = await attestOnce(database, id, deps.attestTimeoutMs);
      if (verdict) return verdict;
      throw new AssayError(
        'unavailable',
        'no verifier answered in time; is the one that holds this node up?',
      );
    },
  );
}
