import Type from 'typebox';
import { AssayError } from '../../core/errors.ts';
import { NodeId } from '../../core/messages/common.ts';
import type { App } from '../../platform/http/server.ts';
import { draftPolicy } from '../domain/draft.ts';
import { readLastEvidence } from '../store/verdicts.ts';
import type { RoutesDeps } from './deps.ts';
import { PolicyName } from './policies.ts';

/** A first policy, written from a node that is known to be good. */
export function draftRoutes(app: App, { database }: RoutesDeps): void {
  app.post(
    '/v1/policies/draft',
    {
      config: { access: ['admin', 'viewer'], errors: ['not-found'] },
      schema: {
        operationId: 'draftPolicy',
        summary: "A policy with the PCR values of a node's last pass; nothing is stored",
        body: Type.Object({ node: NodeId, name: PolicyName }, { additionalProperties: false }),
        response: { 200: Type.Object({ document: Type.String() }) },
      },
    },
    async ({ body: { node, name } }) => {
      const last = await readLastEvidence(database.db, node);
      if (!last) {
        const message = `node ${node} has not passed yet, so there is nothing to draft from; assign the baseline policy to it first`;
        throw new AssayError('not-found', message);
      }
      return { document: draftPolicy(name, last) };
    },
  );
}
