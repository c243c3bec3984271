import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';

/** A route that a running server has. */
export interface Route {
  /** `registrar`, `verifier`, `issuer`, or `registrar-keylime` for the listener without TLS. */
  readonly service: string;
  readonly method: string;
  /** As OpenAPI writes it: `/v1/nodes/{node}`. */
  readonly path: string;
  readonly access: readonly string[];
}

const CREATED = 'fastify.initialization';

/** Writes down every route of every server that is made from now on in this process, however it is added. */
export function watchRoutes(): { readonly routes: readonly Route[]; stop(): void } {
  const found: { readonly server: unknown; readonly route: unknown }[] = [];
  const onCreated = (message: unknown) => {
    const server = Object(message).fastify;
    server.addHook('onRoute', (route: unknown) => void found.push({ server, route }));
  };
  subscribe(CREATED, onCreated);
  return {
    get routes() {
      return found.flatMap(({ server, route }) => {
        const { method, url, config } = Object(route);
        const path = String(url).replace(/:([A-Za-z0-9]+)(\([^)]*\))?/g, '{$1}');
        const { service } = Object(server);
        return [method].flat().map((one) => ({ service, method: one, path, access: config?.access ?? [] }));
      });
    },
    stop: () => unsubscribe(CREATED, onCreated),
  };
}

/** What docs/openapi.json declares: by service, each operation with who may call it. */
export function declaredRoutes(): Route[] {
  const document = JSON.parse(readFileSync(new URL('../../../docs/openapi.json', import.meta.url), 'utf8'));
  return Object.entries<object>(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).flatMap(([method, { tags, 'x-access': access }]) =>
      tags.map((service: string) => ({ service, method: method.toUpperCase(), path, access })),
    ),
  );
}

/** One line for each, to compare tables. */
export function linesOf(routes: readonly Route[]): string[] {
  return routes.map(({ method, path, access }) => `${method} ${path}: ${access.join(' ')}`).sort();
}
