import Type from 'typebox';
import { WebhookRecord } from '../../core/messages/webhook.ts';
import { appendAudit } from '../../platform/audit.ts';
import { actorOf, type Principal } from '../../platform/http/principal.ts';
import type { App } from '../../platform/http/server.ts';
import type { RoutesDeps } from './deps.ts';

const Named = Type.Object({ name: Type.String({ pattern: '^[a-z0-9.-]{1,64}$' }) });

/** Where changes of trust are sent, and how far that has got. */
export function webhookRoutes(app: App, { webhooks, database }: RoutesDeps): void {
  const audit = (act: string, subject: string, principal: Principal) =>
    database.transaction((tx) => appendAudit(tx, { actor: actorOf(principal), act, subject }));
  app.get(
    '/v1/webhooks',
    {
      config: { access: ['admin', 'viewer'] },
      schema: {
        operationId: 'listWebhooks',
        summary: 'Webhooks and what waits for them',
        response: { 200: Type.Object({ webhooks: Type.Array(WebhookRecord) }) },
      },
    },
    async () => ({ webhooks: [...(await webhooks.list())] }),
  );
  app.post(
    '/v1/webhooks/:name/test',
    {
      config: { access: ['admin'], errors: ['not-found'] },
      schema: {
        operationId: 'testWebhook',
        summary: 'Send a message of the type `test` now',
        description: 'Answers the status that the receiver gave; `unavailable` says why it did not take it.',
        params: Named,
        response: { 200: Type.Object({ status: Type.Integer() }) },
      },
    },
    async ({ params: { name }, principal }) => {
      const answer = await webhooks.test(name);
      await audit('webhook.test', name, principal);
      return answer;
    },
  );
  app.post(
    '/v1/webhooks/:name/resume',
    {
      config: { access: ['admin'], errors: ['not-found'] },
      schema: {
        operationId: 'resumeWebhook',
        summary: 'Deliver again to one that said it is gone, or that waits after failures',
        params: Named,
        response: { 200: Named },
      },
    },
    async ({ params: { name }, principal }) => {
      await webhooks.resume(name);
      await audit('webhook.resume', name, principal);
      return { name };
    },
  );
}
