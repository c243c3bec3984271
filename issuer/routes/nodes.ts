import { toBase64 } from '../../core/bytes/encoding.ts';
import { AssayError } from '../../core/errors.ts';
import { IssueChallenge, IssuedCertificate, IssueRequest } from '../../core/messages/issue.ts';
import type { Principal } from '../../platform/http/principal.ts';
import type { App } from '../../platform/http/server.ts';
import { issueCertificate, sha256 } from '../domain/issue.ts';
import { CHALLENGE_SECONDS } from '../store/challenges.ts';
import type { RoutesDeps } from './deps.ts';

const NONCE_BYTES = 32;
const MAX_REQUEST_BYTES = 16 * 1024;

/** What a node asks for itself; who it is says its TLS certificate, nothing in the request (rule `api.own`). */
export function nodeRoutes(app: App, deps: RoutesDeps): void {
  app.post(
    '/v1/nodes/self/challenge',
    {
      bodyLimit: MAX_REQUEST_BYTES,
      config: { access: ['node'] },
      schema: {
        operationId: 'openIssueChallenge',
        summary: 'A nonce for the next request',
        description: 'For the node whose TLS certificate was shown, once, for a minute.',
        response: { 200: IssueChallenge },
      },
    },
    async (request): Promise<IssueChallenge> => {
      const nonce = deps.randomBytes(NONCE_BYTES);
      await deps.challenges.open(nodeOf(request.principal), sha256(nonce));
      return { nonce: toBase64(nonce), expiresInSeconds: CHALLENGE_SECONDS };
    },
  );
  app.post(
    '/v1/nodes/self/certificate',
    {
      bodyLimit: MAX_REQUEST_BYTES,
      config: {
        access: ['node'],
        errors: [
          'challenge-unknown',
          'challenge-expired',
          'identity-refused',
          'not-admitted',
          'not-trusted',
          'conflict',
        ],
      },
      schema: {
        operationId: 'issueCertificate',
        summary: "The node's CA certificate, while it is trusted",
        description:
          'With `not-trusted`, `findings[].rule` says why: `node.failed`, `node.banned` and `node.retired` are for good, and what was issued is to be destroyed; `node.stale` and `node.enrolled` may pass.',
        body: IssueRequest,
        response: { 200: IssuedCertificate },
      },
    },
    async (request): Promise<IssuedCertificate> => {
      const issued = await issueCertificate(issueDeps(deps), nodeOf(request.principal), request.body).catch(
        (error: unknown) => {
          if (error instanceof AssayError) deps.metrics.refused(error.code, error.details[0]?.rule ?? '');
          throw error;
        },
      );
      request.log.info({ node: issued.nodeId, serial: issued.serial, notAfter: issued.notAfter }, 'issued');
      return issued;
    },
  );
}

function issueDeps(deps: RoutesDeps) {
  return { ...deps, store: deps.issues, groups: deps.config.groups, onIssued: deps.metrics.issued };
}

function nodeOf(principal: Principal): string {
  if (principal.kind === 'node') return principal.nodeId;
  throw new AssayError('unauthenticated', "this needs a node's certificate");
}
