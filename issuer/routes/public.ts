import { hash } from 'node:crypto';
import { AuthoritiesAnswer } from '../../core/messages/authorities.ts';
import type { Certificate } from '../../core/x509/certificate.ts';
import { renderPem } from '../../core/x509/pem.ts';
import type { App } from '../../platform/http/server.ts';
import type { RoutesDeps } from './deps.ts';

/** What relying parties fetch: nothing in it is secret, and all of it is signed. */
export function publicRoutes(app: App, deps: RoutesDeps): void {
  app.get(
    '/v1/authorities',
    {
      config: { access: ['public'] },
      schema: {
        operationId: 'getAuthorities',
        summary: 'Certificates of the node roots and of the issuing CAs',
        description:
          'Each text is all that a relying party must trust, in PEM: while a CA is replaced it holds several certificates, the current one first.',
        response: { 200: AuthoritiesAnswer },
      },
    },
    async () => ({
      root: pemOf(deps.authorities.roots),
      groups: Object.fromEntries(
        [...Map.groupBy(deps.authorities.issuing, ({ group }) => group)].map(([group, found]) => [
          group,
          pemOf(found.map(({ certificate }) => certificate)),
        ]),
      ),
      authorities: deps.authorities.issuing.map(({ name, group, tier, state, certificate }) => ({
        ...{ name, group, tier, state, notAfter: certificate.notAfter.toISOString() },
        selector: `x509pop:ca:fingerprint:${hash('sha1', certificate.der)}`,
      })),
    }),
  );
}

function pemOf(certificates: readonly Pick<Certificate, 'der'>[]): string {
  return certificates.map(({ der }) => renderPem('CERTIFICATE', der)).join('');
}
