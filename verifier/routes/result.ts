import Type from 'typebox';
import { AssayError } from '../../core/errors.ts';
import { NodeId } from '../../core/messages/common.ts';
import { EAR_NONCE_PATTERN, EarClaims } from '../../core/messages/result.ts';
import { earClaims } from '../../core/result/ear.ts';
import type { App } from '../../platform/http/server.ts';
import { signResult } from '../../platform/results/token.ts';
import { version } from '../../platform/version.ts';
import { readResultFacts } from '../store/result-facts.ts';
import type { RoutesDeps } from './deps.ts';

/** What the verifier says of a node, signed, for relying parties that never talk to it themselves. */
export function resultRoutes(app: App, { database: { db }, resultSigner }: RoutesDeps): void {
  app.get(
    '/v1/nodes/:id/result',
    {
      config: { access: ['admin', 'viewer'], errors: ['not-found', 'conflict'] },
      schema: {
        operationId: 'getResult',
        summary: 'What is thought of a node now, as a signed EAT Attestation Result',
        description: 'draft-ietf-rats-ear-04 as JWT; `claims` are those in the token, for people.',
        params: Type.Object({ id: NodeId }),
        querystring: Type.Object(
          { nonce: Type.Optional(Type.String({ pattern: EAR_NONCE_PATTERN, description: 'Is echoed' })) },
          { additionalProperties: false },
        ),
        response: { 200: Type.Object({ token: Type.String(), claims: EarClaims }, { title: 'Result' }) },
      },
    },
    async ({ params: { id }, query: { nonce } }) => {
      const signer = resultSigner ?? noSigner();
      const facts = await readResultFacts(db, id);
      if (!facts) throw new AssayError('not-found', `there is no node ${id}`);
      const claims = earClaims(facts, { at: facts.at, build: `assay ${version}`, nonce });
      return { token: await signResult(claims, signer), claims };
    },
  );
}

export function noSigner(): never {
  throw new AssayError(
    'conflict',
    'this verifier has no key to sign with: `assay init --renew` makes it (pki/verifier-results.key)',
  );
}
