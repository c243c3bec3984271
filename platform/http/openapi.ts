import { isDeepStrictEqual } from 'node:util';
import swagger from '@fastify/swagger';
import { version } from '../version.ts';
import type { Access } from './principal.ts';
import type { App } from './server.ts';

const LICENSE = { name: 'Apache-2.0', identifier: 'Apache-2.0' };

type JsonObject = Record<string, unknown>;

/**
 * Describes every route registered after this as OpenAPI 3.1 and serves the document at /openapi.json. Who may ask
 * stands in `x-access`, which the test that sweeps all routes reads.
 */
export async function describeApi(app: App, service: string): Promise<void> {
  await app.register(swagger, {
    openapi: { openapi: '3.1.0', info: { title: `Assay ${service}`, version, license: LICENSE } },
    transform: ({ schema, url, route }) => {
      const access = route.config?.access ?? [];
      return { schema: { ...schema, 'x-access': access, tags: [service] }, url };
    },
  });
  app.get('/openapi.json', { config: { access: ['public'] }, schema: { hide: true } }, async () =>
    apiDocument(app),
  );
}

/** The document. What it says of credentials is added here: the plugin stops at OpenAPI 3.0, without mutualTLS. */
function apiDocument(app: App): JsonObject {
  const document: JsonObject = { ...app.swagger() };
  const paths = mapValues(Object(document.paths), (operations) =>
    mapValues(Object(operations), (operation) => ({ ...Object(operation), security: securityOf(operation) })),
  );
  const clientCertificate = {
    type: 'mutualTLS',
    description: 'a role of the service CA, or a node (x-access)',
  };
  return {
    ...document,
    components: { ...Object(document.components), securitySchemes: { clientCertificate } },
    paths,
  };
}

function securityOf(operation: unknown): JsonObject[] {
  const access: readonly Access[] = Object(operation)['x-access'];
  return access.includes('public') ? [] : [{ clientCertificate: [] }];
}

function mapValues(object: JsonObject, change: (value: unknown) => unknown): JsonObject {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}

/**
 * One document for all services (`app.ready()` first).
 *
 * @throws {Error} when two services describe one operation differently
 */
export function exportOpenApi(apps: readonly App[]): JsonObject {
  const paths: Record<string, JsonObject> = {};
  for (const document of apps.map(apiDocument)) {
    for (const [path, operations] of Object.entries<JsonObject>(Object(document.paths))) {
      paths[path] = mergeOperations(path, paths[path] ?? {}, operations);
    }
  }
  const sorted = Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1)));
  const [first] = apps;
  return {
    ...(first ? apiDocument(first) : {}),
    info: { title: 'Assay', version, license: LICENSE },
    paths: sorted,
  };
}

// What every service has (/healthz …) stands once, with all their tags.
function mergeOperations(path: string, known: JsonObject, added: JsonObject): JsonObject {
  const merged = { ...known };
  for (const [method, operation] of Object.entries(added)) {
    const { tags: knownTags = [], ...before } = Object(known[method] ?? operation);
    const { tags, ...now } = Object(operation);
    if (!isDeepStrictEqual(before, now))
      throw new Error(`two services describe ${method.toUpperCase()} ${path} differently`);
    merged[method] = { ...now, tags: [...new Set([...knownTags, ...tags])] };
  }
  return merged;
}
