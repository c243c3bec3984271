import swagger from '@fastify/swagger';
import { version } from '../version.ts';
import type { Access } from './principal.ts';
import type { App } from './server.ts';

/**
 * Describes every route registered after this as OpenAPI 3.1 and serves the document at /openapi.json. Who may ask
 * stands in `x-access`, which the test that sweeps all routes reads.
 */
export async function describeApi(app: App, service: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: `Assay ${service}`, version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    },
    transform: ({ schema, url, route }) => {
      const access = route.config?.access ?? [];
      return { schema: { ...schema, ...security(access), tags: [service] }, url };
    },
  });
  app.get('/openapi.json', { config: { access: ['public'] }, schema: { hide: true } }, async () =>
    app.swagger(),
  );
}

/** The document. Its scheme is added here: the plugin's types stop at OpenAPI 3.0. */
export function apiDocument(app: App): Record<string, unknown> {
  const document: Record<string, unknown> = { ...app.swagger() };
  const clientCertificate = {
    type: 'mutualTLS',
    description: 'a role of the service CA, or a node (x-access)',
  };
  return {
    ...document,
    components: { ...Object(document.components), securitySchemes: { clientCertificate } },
  };
}

function security(access: readonly Access[]) {
  const open = access.includes('public');
  return { 'x-access': access, security: open ? [] : [{ clientCertificate: [] }] };
}
