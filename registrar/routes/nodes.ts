import Type from 'typebox';
import { AssayError } from '../../core/errors.ts';
import { ActReason, GroupName, NodeId, NodeState } from '../../core/messages/common.ts';
import { NodeSelf } from '../../core/messages/enrolment.ts';
import { NodeDetail, NodeSummary } from '../../core/messages/node.ts';
import type { Queries } from '../../platform/database/index.ts';
import { actorOf } from '../../platform/http/principal.ts';
import type { App } from '../../platform/http/server.ts';
import { parseNodeName } from '../domain/node-name.ts';
import { approveNode, retireNode, unknownNode } from '../store/lifecycle.ts';
import { findNode, findNodes, listNodes, type NodeRow } from '../store/node-queries.ts';
import type { RoutesDeps } from './deps.ts';
import { selfOf } from './node-self.ts';
import { renderDetail, renderSummary } from './node-view.ts';

const PAGE = 100_000;
const Named = Type.Object({ node: Type.String({ minLength: 1, maxLength: 128 }) });
const Approval = Type.Object(
  {
    group: GroupName,
    assetName: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    reason: Type.String({ minLength: 1, maxLength: 500 }),
  },
  { title: 'Approval', additionalProperties: false },
);

/** The fleet as people see it, and what people decide about a node. */
export function nodeRoutes(app: App, deps: RoutesDeps): void {
  readRoutes(app, deps);
  actRoutes(app, deps);
}

function readRoutes(app: App, { database: { db } }: RoutesDeps): void {
  app.get(
    '/v1/nodes/self',
    {
      config: { access: ['node'], errors: ['not-found'] },
      schema: {
        operationId: 'getSelf',
        summary: 'The record of the node that asks',
        description: 'Which node asks says its TLS certificate.',
        response: { 200: NodeSelf },
      },
    },
    async ({ principal }) => {
      if (principal.kind !== 'node') throw new AssayError('forbidden', 'only a node has a record of its own');
      return selfOf(db, principal.nodeId);
    },
  );
  app.get(
    '/v1/nodes',
    {
      config: { access: ['admin', 'viewer'] },
      schema: {
        operationId: 'listNodes',
        summary: 'All nodes, by id; `next` is there when there are more',
        description: '`after` takes `next` of the page before.',
        querystring: Type.Object(
          {
            state: Type.Optional(NodeState),
            group: Type.Optional(GroupName),
            after: Type.Optional(NodeId),
            limit: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,5}$' })),
          },
          { additionalProperties: false },
        ),
        response: { 200: Type.Object({ nodes: Type.Array(NodeSummary), next: Type.Optional(NodeId) }) },
      },
    },
    async ({ query: { limit: asked, ...filter } }) => {
      const limit = Math.min(Number(asked ?? PAGE), PAGE);
      const rows = await listNodes(db, { ...filter, limit: limit + 1 });
      const nodes = rows.slice(0, limit).map(renderSummary);
      const last = nodes.at(-1);
      return { nodes, ...(rows.length > limit && last ? { next: last.id } : {}) };
    },
  );
  app.get(
    '/v1/nodes/:node',
    {
      config: { access: ['admin', 'viewer'], errors: ['not-found', 'conflict'] },
      schema: {
        operationId: 'getNode',
        summary: 'One node, by id, unique beginning of an id, or alias',
        description: '`conflict` when the name may be several nodes; `findings` lists them.',
        params: Named,
        response: { 200: NodeDetail },
      },
    },
    async ({ params }) => renderDetail(await resolve(db, params.node)),
  );
}

function actRoutes(app: App, { database }: RoutesDeps): void {
  const detailOf = async (id: string) => {
    const row = await findNode(database.db, id);
    if (!row) throw unknownNode(id);
    return renderDetail(row);
  };
  app.post(
    '/v1/nodes/:node/approve',
    {
      config: { access: ['admin'], errors: ['not-found', 'conflict'] },
      schema: {
        operationId: 'approveNode',
        summary: 'Admit a node that waits for a person',
        params: Named,
        body: Approval,
        response: { 200: NodeDetail },
      },
    },
    async ({ params, body, principal }) => {
      const { record } = await resolve(database.db, params.node);
      await database.transaction((tx) => approveNode(tx, record.id, body, actorOf(principal)));
      return detailOf(record.id);
    },
  );
  app.post(
    '/v1/nodes/:node/retire',
    {
      config: { access: ['admin'], errors: ['not-found', 'conflict'] },
      schema: {
        operationId: 'retireNode',
        summary: 'Take a node out of service for good',
        description: 'Its certificates are revoked, and it cannot enrol again. The record stays.',
        params: Named,
        body: ActReason,
        response: { 200: NodeDetail },
      },
    },
    async ({ params, body, principal }) => {
      const { record } = await resolve(database.db, params.node);
      await database.transaction((tx) => retireNode(tx, record.id, body.reason, actorOf(principal)));
      return detailOf(record.id);
    },
  );
}

async function resolve(db: Queries, name: string): Promise<NodeRow> {
  const [first, ...others] = await findNodes(db, parseNodeName(name));
  if (!first) throw unknownNode(name);
  if (others.length === 0) return first;
  const details = [first, ...others].map(({ record, state }) => ({
    message: `${record.id} ${record.alias} (${state})`,
  }));
  throw new AssayError('conflict', `${name} may be any of ${details.length} nodes; give the id`, { details });
}
