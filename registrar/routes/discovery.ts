import Type from 'typebox';
import type { App } from '../../platform/http/server.ts';
import type { RoutesDeps } from './deps.ts';

const Discovery = Type.Object(
  {
    trustDomain: Type.String(),
    nodesDomain: Type.String(),
    registrar: Type.String(),
    verifier: Type.String(),
    issuer: Type.String(),
  },
  { title: 'Discovery' },
);

/** What an agent asks before it knows anything but the registrar and a pin. */
export function discoveryRoutes(app: App, { discovery, serviceCa }: RoutesDeps): void {
  app.get(
    '/v1/ca',
    {
      config: { access: ['public'] },
      schema: {
        operationId: 'getServiceCa',
        summary: 'PEM of the service CA; worth nothing without its pin',
        response: { 200: { content: { 'application/x-pem-file': { schema: Type.String() } } } },
      },
    },
    async (_request, reply) => reply.type('application/x-pem-file').send(serviceCa),
  );
  app.get(
    '/v1/discovery',
    {
      config: { access: ['public'] },
      schema: {
        operationId: 'getDiscovery',
        summary: 'Where the services are',
        response: { 200: Discovery },
      },
    },
    async () => ({ ...discovery }),
  );
}
