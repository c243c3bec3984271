import Type from 'typebox';
import { AssayError } from '../../core/errors.ts';
import { GroupName } from '../../core/messages/common.ts';
import { renderPem } from '../../core/x509/pem.ts';
import type { App } from '../../platform/http/server.ts';
import { unknownGroup } from './admin.ts';
import type { RoutesDeps } from './deps.ts';

const CRL = 'application/pkix-crl';

/** What relying parties fetch: nothing in it is secret, and all of it is signed. */
export function publicRoutes(app: App, deps: RoutesDeps): void {
  app.get(
    '/v1/authorities',
    {
      config: { access: ['public'] },
      schema: {
        operationId: 'getAuthorities',
        summary: 'Certificates of the node root and of the issuing CAs',
        response: {
          200: Type.Object({ root: Type.String(), groups: Type.Record(Type.String(), Type.String()) }),
        },
      },
    },
    async () => ({
      root: renderPem('CERTIFICATE', deps.authorities.root),
      groups: Object.fromEntries(
        [...deps.authorities.groups].map(([name, { certificate }]) => [
          name,
          renderPem('CERTIFICATE', certificate),
        ]),
      ),
    }),
  );
  crlRoute(app, deps);
}

function crlRoute(app: App, { authorities, crls, config }: RoutesDeps): void {
  app.get(
    '/crl/:group.crl',
    {
      config: { access: ['public'], errors: ['not-found'] },
      schema: {
        operationId: 'getCrl',
        summary: "An issuing CA's certificate revocation list (DER)",
        description: "`etag` is the CRL's number; `if-none-match` with it answers 304.",
        params: Type.Object({ group: GroupName }),
        response: {
          200: {
            content: {
              [CRL]: { schema: Type.Unsafe<Buffer>({ contentMediaType: CRL }) },
            },
          },
          304: Type.Null(),
        },
      },
    },
    async ({ params: { group }, headers }, reply) => {
      const signer = authorities.groups.get(group);
      if (!signer) throw unknownGroup(group);
      const crl = await crls.current(signer.sha256);
      if (!crl) throw new AssayError('unavailable', 'the first CRL is not made yet; try again');
      const tag = `"${crl.number}"`;
      reply
        .header('etag', tag)
        .header('last-modified', crl.thisUpdate.toUTCString())
        .header(
          'cache-control',
          `public, max-age=${Math.floor(config.crl.intervalMs / 1000)}, must-revalidate`,
        );
      if (headers['if-none-match'] === tag) return reply.status(304).send(null);
      return reply.type(CRL).send(Buffer.from(crl.der));
    },
  );
}
