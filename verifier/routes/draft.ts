import Type from 'typebox';
import { AssayError } from '../../core/errors.ts';
import { NodeId } from '../../core/messages/common.ts';
import type { App } from '../../platform/http/server.ts';
import { draftPolicy, logsOf } from '../domain/draft.ts';
import { readBootLog } from '../store/boot-logs.ts';
import { readLastEvidence } from '../store/verdicts.ts';
import type { RoutesDeps } from './deps.ts';
import { PolicyName } from './policies.ts';

/** A first policy, written from a node that is known to be good. */
export function draftRoutes(app: App, { database }: RoutesDeps): void {
  app.post(
    '/v1/policies/draft',
    {
      config: { access: ['admin', 'viewer'], errors: ['not-found', 'invalid-request'] },
      schema: {
        operationId: 'draftPolicy',
        summary: "A policy that allows what a node's last pass showed; nothing is stored",
        body: Type.Object(
          {
            node: NodeId,
            name: PolicyName,
            profile: Type.Optional(
              Type.Enum(['shim-grub', 'uki', 'direct-kernel', 'bios', 'no-log'], {
                description: 'Judges the boot by its log, which way it is; absent: PCR values alone',
              }),
            ),
            commandLine: Type.Optional(
              Type.String({ maxLength: 8192, description: 'Of the kernel: taken when the boot proves it' }),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 200: Type.Object({ document: Type.String() }) },
      },
    },
    async ({ body: { node, name, profile, commandLine } }) => {
      const last = await readLastEvidence(database.db, node);
      if (!last) {
        const message = `node ${node} has not passed yet, so there is nothing to draft from; let it pass the shipped baseline first (assay policy add assay:baseline, assay policy assign baseline --node ${node})`;
        throw new AssayError('not-found', message);
      }
      if (profile === undefined) return { document: draftPolicy(name, last) };
      const { firmware, userspace } = logsOf(last);
      const logs = {
        firmware: firmware === undefined ? undefined : await readBootLog(database.db, firmware),
        userspace: userspace === undefined ? undefined : await readBootLog(database.db, userspace),
      };
      const boot = { profile, ...logs, ...(commandLine === undefined ? {} : { commandLine }) };
      return { document: draftPolicy(name, last, boot) };
    },
  );
}
