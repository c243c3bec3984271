import { isDeepStrictEqual } from 'node:util';
import swagger from '@fastify/swagger';
import Type from 'typebox';
import { version } from '../version.ts';
import { hoistTitled } from './openapi-components.ts';
import { describeResponses } from './openapi-responses.ts';
import type { Access } from './principal.ts';
import type { App } from './server.ts';

const LICENSE = { name: 'Apache-2.0', identifier: 'Apache-2.0' };
const DESCRIPTION = `TLS 1.3 only. \`x-access\` of an operation says who may call it: \`public\`, \`admin\`, \`viewer\`,
\`service:NAME\`, or \`node\` (a node, about itself). People and services show a client certificate of the service CA, which
carries the role as a URI name; a node shows the self-signed certificate that it enrolled with.

Errors are problem details (RFC 9457). Branch on \`code\`, which is stable; \`detail\` is for people. Routes below
\`/v2.{minor}\` are Keylime's, with Keylime's envelope. Binary values are standard base64 with padding.`;
const CERTIFICATE = `A certificate of the service CA with the URI name urn:assay:role:admin, urn:assay:role:viewer or
urn:assay:service:NAME; or the TLS certificate of an enrolled node`;

type JsonObject = Record<string, unknown>;

/** Where a service can be asked, in a document over several. */
export interface ApiServer {
  readonly url: string;
  readonly description: string;
  readonly variables?: Readonly<Record<string, { readonly default: string }>>;
}

/**
 * Describes every route registered after this as OpenAPI 3.1 and serves the document at /openapi.json. Who may ask
 * stands in `x-access`, which the test that sweeps all routes reads.
 */
export async function describeApi(app: App, service: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: `Assay ${service}`, version, description: DESCRIPTION, license: LICENSE },
    },
    transform: ({ schema, url, route }) => {
      const { access = [], ...errors } = route.config ?? {};
      return { schema: { ...schema, 'x-access': access, 'x-errors': errors, tags: [service] }, url };
    },
  });
  app.get(
    '/openapi.json',
    {
      config: { access: ['public'] },
      schema: {
        operationId: 'getOpenApi',
        summary: 'This description, of the service that is asked',
        response: { 200: Type.Record(Type.String(), Type.Unknown()) },
      },
    },
    async () => apiDocument(app),
  );
}

/** The document. The plugin stops at OpenAPI 3.0, without mutualTLS: what is said of credentials is added here. */
function apiDocument(app: App): JsonObject {
  const document: JsonObject = { ...app.swagger() };
  const described = mapValues(Object(document.paths), (operations) =>
    mapValues(Object(operations), describeOperation),
  );
  const { value: paths, schemas } = hoistTitled(described);
  const clientCertificate = { type: 'mutualTLS', description: CERTIFICATE };
  return { ...document, components: { schemas, securitySchemes: { clientCertificate } }, paths };
}

function describeOperation(operation: unknown): JsonObject {
  const { 'x-errors': errors, ...rest } = Object(operation);
  const access: readonly Access[] = rest['x-access'];
  return { ...rest, responses: describeResponses(rest, access, errors), security: securityOf(access) };
}

// One requirement for each role: any of them is enough.
function securityOf(access: readonly Access[]): JsonObject[] {
  return access.includes('public') ? [] : access.map((role) => ({ clientCertificate: [role] }));
}

function mapValues(object: JsonObject, change: (value: unknown, key: string) => unknown): JsonObject {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value, key)]));
}

/**
 * One document for all services (`app.ready()` first). With `servers`, by service, each operation says whom to ask.
 *
 * @throws {Error} when two services describe one operation or one schema differently
 */
export function exportOpenApi(
  apps: readonly App[],
  servers: Readonly<Record<string, ApiServer>> = {},
): JsonObject {
  const paths: Record<string, JsonObject> = {};
  const schemas: JsonObject = {};
  const documents = apps.map(apiDocument);
  for (const document of documents) {
    for (const [path, operations] of Object.entries<JsonObject>(Object(document.paths))) {
      paths[path] = mergeOperations(path, paths[path] ?? {}, operations);
    }
    mergeSchemas(schemas, Object(document.components).schemas);
  }
  const { components, ...first } = Object(documents[0]);
  return {
    ...first,
    info: { title: 'Assay', version, description: DESCRIPTION, license: LICENSE },
    tags: apps.map(({ service: name }) => ({ name, ...tagOf(servers[name]) })),
    paths: mapValues(sorted(paths), (operations) =>
      mapValues(Object(operations), (operation) => addServers(Object(operation), servers)),
    ),
    components: { ...components, schemas: sorted(schemas) },
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

function mergeSchemas(known: JsonObject, added: JsonObject): void {
  for (const [name, schema] of Object.entries(added)) {
    if (!isDeepStrictEqual(known[name] ?? schema, schema))
      throw new Error(`two services describe the schema ${name} differently`);
    known[name] = schema;
  }
}

function tagOf(server: ApiServer | undefined): JsonObject {
  return server ? { description: server.description } : {};
}

function addServers(operation: JsonObject, servers: Readonly<Record<string, ApiServer>>): JsonObject {
  const tags: readonly string[] = Object(operation.tags);
  const own = tags.flatMap((tag) => servers[tag] ?? []);
  return own.length === 0 ? operation : { ...operation, servers: own };
}

function sorted(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
}
