import Type from 'typebox';
import { NodeId } from '../../core/messages/common.ts';
import { Boot, Files } from '../../core/messages/measurements.ts';
import type { App } from '../../platform/http/server.ts';
import { readNodeBoot, readNodeFiles } from '../node-measurements.ts';
import type { RoutesDeps } from './deps.ts';

/** What a node measured, for people to look at. */
export function measurementRoutes(app: App, { database: { db } }: RoutesDeps): void {
  app.get(
    '/v1/nodes/:id/boot',
    {
      config: { access: ['admin', 'viewer'], errors: ['not-found', 'conflict'] },
      schema: {
        operationId: 'getBoot',
        summary: 'Registers and boot logs that the node showed last, event by event',
        description: 'Of its last pass, or of a fail since.',
        params: Type.Object({ id: NodeId }),
        response: { 200: Boot },
      },
    },
    async ({ params: { id } }) => readNodeBoot(db, id),
  );
  app.get(
    '/v1/nodes/:id/files',
    {
      config: { access: ['admin', 'viewer'], errors: ['not-found', 'conflict'] },
      schema: {
        operationId: 'getFiles',
        summary: "What IMA's measurement list of a node has, how it was taken, and the entries that fail",
        params: Type.Object({ id: NodeId }),
        response: { 200: Files },
      },
    },
    async ({ params: { id } }) => readNodeFiles(db, id),
  );
}
