import Type from 'typebox';
import { AssayError } from '../../core/errors.ts';
import type { App } from '../../platform/http/server.ts';
import type { OcspAnswers } from '../ocsp/responder.ts';
import type { RoutesDeps } from './deps.ts';

const CRL = 'application/pkix-crl';
const OCSP_REQUEST = 'application/ocsp-request';
const OCSP_RESPONSE = 'application/ocsp-response';
const MAX_REQUEST_BYTES = 8 * 1024;
// RFC 5019, 5: what is longer is sent by POST.
const MAX_GET_CHARACTERS = 1024;

const AuthorityName = Type.String({
  pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\\.full)?(\\.previous)?$',
  description: 'Name of an issuing CA, which is its group for most; or its key identifier in hex',
});

export type RevocationDeps = Pick<RoutesDeps, 'authorities' | 'crls' | 'config' | 'ocsp' | 'metrics'>;

/** What relying parties ask before they rely on a node's certificate. All of it is signed, so it needs no TLS. */
export function revocationRoutes(app: App, deps: RevocationDeps): void {
  crlRoute(app, deps);
  ocspRoutes(app, deps);
}

function crlRoute(app: App, { authorities, crls, config }: RevocationDeps): void {
  app.get(
    '/crl/:name.crl',
    {
      config: { access: ['public'], errors: ['not-found'] },
      schema: {
        operationId: 'getCrl',
        summary: "An issuing CA's certificate revocation list (DER)",
        description: "`etag` is the CRL's number; `if-none-match` with it answers 304.",
        params: Type.Object({ name: AuthorityName }),
        response: { 200: binary(CRL), 304: Type.Null() },
      },
    },
    async ({ params: { name }, headers }, reply) => {
      const signer = authorities.signerNamed(name);
      if (!signer) throw new AssayError('not-found', `there is no issuing CA ${name} that signs`);
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

function ocspRoutes(app: App, { ocsp, metrics }: RevocationDeps): void {
  const answer = async (request: Uint8Array): Promise<OcspAnswers> => {
    const answers = await ocsp(request);
    for (const outcome of answers.outcomes) metrics.ocsp(outcome);
    return answers;
  };
  app.addContentTypeParser(
    OCSP_REQUEST,
    { parseAs: 'buffer', bodyLimit: MAX_REQUEST_BYTES },
    (_request, body, done) => done(null, body),
  );
  app.post(
    '/ocsp',
    {
      bodyLimit: MAX_REQUEST_BYTES,
      config: { access: ['public'] },
      schema: {
        operationId: 'askOcsp',
        summary: 'The status of node certificates by OCSP (RFC 6960)',
        description:
          '`good` is said of certificates that were recorded and are not revoked, `revoked` from the moment of the fail, `unknown` of numbers that were never given out. Answers are signed by a delegate of the issuing CA.',
        body: binary(OCSP_REQUEST),
        response: { 200: binary(OCSP_RESPONSE) },
      },
    },
    async ({ body }, reply) => {
      if (!(body instanceof Uint8Array))
        throw new AssayError('invalid-request', `a body of the type ${OCSP_REQUEST} is expected`);
      const { der } = await answer(body);
      return reply.type(OCSP_RESPONSE).send(Buffer.from(der));
    },
  );
  app.get(
    '/ocsp/:request',
    {
      config: { access: ['public'] },
      schema: {
        operationId: 'getOcsp',
        summary: 'The same in a URL: the request in base64, which caches understand (RFC 5019)',
        params: Type.Object({
          request: Type.String({
            maxLength: MAX_GET_CHARACTERS,
            description: 'base64 of the DER, with / + and = percent-encoded',
          }),
        }),
        response: { 200: binary(OCSP_RESPONSE) },
      },
    },
    async ({ params: { request } }, reply) => {
      const { der, keep } = await answer(Buffer.from(request, 'base64'));
      if (keep) {
        const seconds = Math.floor((keep.until.getTime() - keep.from.getTime()) / 1000);
        reply
          .header('cache-control', `max-age=${seconds}, public, no-transform, must-revalidate`)
          .header('last-modified', keep.from.toUTCString())
          .header('expires', keep.until.toUTCString())
          .header('etag', `"${keep.tag}"`);
      } else {
        reply.header('cache-control', 'no-store');
      }
      return reply.type(OCSP_RESPONSE).send(Buffer.from(der));
    },
  );
}

function binary(contentMediaType: string) {
  return { content: { [contentMediaType]: { schema: Type.Unsafe<Buffer>({ contentMediaType }) } } };
}
