import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import Type from 'typebox';
import { fromBase64, toBase64 } from '../../core/bytes/encoding.ts';
import { AssayError } from '../../core/errors.ts';
import {
  ActivationRequest,
  EnrolmentChallenge,
  EnrolmentRequest,
  enrolmentProof,
  NodeSelf,
} from '../../core/messages/enrolment.ts';
import type { App } from '../../platform/http/server.ts';
import type { IdentityClaim } from '../domain/identity.ts';
import { requesterNetwork } from '../domain/requester.ts';
import { tokenHashOf } from '../domain/token.ts';
import type { RoutesDeps } from './deps.ts';
import { selfOf } from './node-self.ts';

// Our agent serves this version of Keylime's agent API.
const AGENT_API = '2.6';
const BODY_LIMIT = 512 * 1024;

/** Enrolment of our own agent: what it sends is bound to its TPM by the proof. */
export function enrolmentRoutes(app: App, { enrolments, limits, database }: RoutesDeps): void {
  app.post(
    '/v1/enrolments',
    {
      config: { access: ['public'], errors: ['unauthenticated', 'identity-refused'] },
      bodyLimit: BODY_LIMIT,
      schema: {
        operationId: 'openEnrolment',
        summary: 'Ask for a credential that only the TPM with this EK and AK can open',
        description:
          'The EK certificate, when there is one, must lead to a trusted root: otherwise `identity-refused`, with the issuer that is missing. Nothing changes before the activation.',
        body: EnrolmentRequest,
        response: { 201: EnrolmentChallenge },
      },
    },
    async (request, reply) => {
      const { body } = request;
      checkShown(request.raw.socket, body);
      const { id, candidate, blob } = await enrolments.open({
        claim: claimOf(body),
        protocol: 'assay',
        network: requesterNetwork(request.ip),
        answer: (secret) => enrolmentProof(secret, body),
      });
      return reply.status(201).send({
        id,
        nodeId: candidate.nodeId,
        credential: toBase64(blob),
        expiresInSeconds: limits.lifetimeSeconds,
      });
    },
  );
  app.post(
    '/v1/enrolments/:id/activation',
    {
      config: {
        access: ['public'],
        errors: ['challenge-unknown', 'activation-failed', 'identity-refused', 'conflict'],
      },
      bodyLimit: 4096,
      schema: {
        operationId: 'activateEnrolment',
        summary: 'Answer the challenge, once',
        description:
          'The proof is HMAC-SHA256 with the secret of the credential over the whole request, so that nothing in it can be exchanged. The answer says whether the node is admitted or waits for a person.',
        params: Type.Object({ id: Type.String({ format: 'uuid' }) }),
        body: ActivationRequest,
        response: { 200: NodeSelf },
      },
    },
    async ({ params, body }) => {
      const nodeId = await enrolments.activate(params.id, fromBase64(body.proof, 'proof'));
      return selfOf(database.db, nodeId);
    },
  );
}

// Nobody can register, and so occupy, a TLS certificate whose key is another node's.
function checkShown(socket: Socket, { tlsCertificate }: EnrolmentRequest): void {
  const shown = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  if (shown && toBase64(shown.raw) === tlsCertificate) return;
  throw new AssayError(
    'unauthenticated',
    'an enrolment must come over a connection that shows the TLS certificate it registers',
  );
}

function claimOf(body: EnrolmentRequest): IdentityClaim {
  return {
    alias: body.alias,
    ekPublic: fromBase64(body.ekPublic, 'ekPublic'),
    ekCertificates: body.ekCertificates.map((der) => fromBase64(der, 'ekCertificates')),
    akPublic: fromBase64(body.akPublic, 'akPublic'),
    tlsCertificate: fromBase64(body.tlsCertificate, 'tlsCertificate'),
    contact: body.contact,
    apiVersion: AGENT_API,
    tokenSha256: body.joinToken === undefined ? null : tokenHashOf(body.joinToken),
  };
}
