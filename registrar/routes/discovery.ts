import Type from 'typebox';
import type { App } from '../../platform/http/server.ts';
import type { RoutesDeps } from './deps.ts';

const Discovery = Type.Object({
  trustDomain: Type.String(),
  nodesDomain: Type.String(),
  registrar: Type.String(),
  verifier: Type.String(),
  issuer: Type.String(),
});

/** What an agent asks before it knows anything but the registrar and a pin. */
export function discoveryRoutes(app: App, { discovery, serviceCa }: RoutesDeps): void {
  app.get(
    '/v1/ca',
    {
      config: { access: ['public'] },
      schema: {
        summary: 'PEM of the service CA; worth nothing without its pin',
        produces: ['application/x-pem-file'],
      },
    },
    async (_request, reply) => reply.type('application/x-pem-file').send(serviceCa),
  );
  app.get(
    '/v1/discovery',
    {
      config: { access: ['public'] },
      schema: { summary: 'Where the services are', response: { 200: Discovery } },
    },
    async () => ({ ...discovery }),
  );
}
