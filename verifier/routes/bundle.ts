import { createPublicKey } from 'node:crypto';
import Type from 'typebox';
import { toBase64 } from '../../core/bytes/encoding.ts';
import { AssayError } from '../../core/errors.ts';
import { BUNDLE_TYPE } from '../../core/messages/bundle.ts';
import { NodeId } from '../../core/messages/common.ts';
import type { App } from '../../platform/http/server.ts';
import type { ResultSigner } from '../../platform/results/signer.ts';
import { version } from '../../platform/version.ts';
import { sealBundle } from '../../policies/bundle/format.ts';
import { attestOnce } from '../attest-once.ts';
import { type BundleSource, makeBundle } from '../domain/bundle.ts';
import { lastPassSource, verdictSource } from '../store/bundle-source.ts';
import type { RoutesDeps } from './deps.ts';
import { noSigner } from './result.ts';

const Sets = Type.Optional(
  Type.Enum(['true', 'false'], { description: 'false: digest sets are named and left out' }),
);
const answers = {
  200: {
    description: `A DSSE envelope around an evidence bundle (${BUNDLE_TYPE})`,
    content: { 'application/json': { schema: Type.Unknown() } },
  },
};
const people = { access: ['admin', 'viewer'], errors: ['not-found', 'conflict'] } as const;
/** A poll that was due may come between: then it is asked again. */
const TRIES = 3;

/** All that a verdict rests on, in one signed file. */
export function bundleRoutes(app: App, deps: RoutesDeps): void {
  const { db } = deps.database;
  const seal = (source: BundleSource) => sealed(source, deps.resultSigner ?? noSigner(), deps.url);
  app.get(
    '/v1/nodes/:id/bundle',
    {
      config: people,
      schema: {
        operationId: 'getBundle',
        summary: "The node's last pass as an evidence bundle",
        params: Type.Object({ id: NodeId }),
        querystring: Type.Object({ sets: Sets }, { additionalProperties: false }),
        response: answers,
      },
    },
    async ({ params: { id }, query }, reply) =>
      reply.type('application/json').send(seal(await lastPassSource(db, id, query.sets !== 'false'))),
  );
  app.get(
    '/v1/verdicts/:id/bundle',
    {
      config: people,
      schema: {
        operationId: 'getVerdictBundle',
        summary: 'A verdict as an evidence bundle; the evidence of fails is kept',
        params: Type.Object({ id: Type.String({ pattern: '^[1-9][0-9]{0,15}$' }) }),
        querystring: Type.Object({ sets: Sets }, { additionalProperties: false }),
        response: answers,
      },
    },
    async ({ params: { id }, query }, reply) =>
      reply.type('application/json').send(seal(await verdictSource(db, Number(id), query.sets !== 'false'))),
  );
  app.post(
    '/v1/nodes/:id/bundle',
    {
      config: { access: ['admin'], errors: ['not-found', 'conflict'] },
      schema: {
        operationId: 'makeBundle',
        summary: 'Attest a node now, with its whole measurement list, and answer the evidence bundle',
        description:
          'Such a bundle can be judged under any policy. `conflict` when the node does not pass: its verdict has a bundle of its own.',
        params: Type.Object({ id: NodeId }),
        querystring: Type.Object({ sets: Sets }, { additionalProperties: false }),
        response: answers,
      },
    },
    async ({ params: { id }, query }, reply) => {
      const source = await wholePass(deps, id, query.sets !== 'false');
      return reply.type('application/json').send(seal(source));
    },
  );
}

async function wholePass(deps: RoutesDeps, id: string, withSets: boolean): Promise<BundleSource> {
  const { database, attestTimeoutMs } = deps;
  for (let tries = 0; tries < TRIES; tries++) {
    const found = await attestOnce(database, id, attestTimeoutMs, 'whole');
    if (found && found.outcome !== 'pass') {
      const [first] = found.reasons;
      const why = first ? `: ${first.message}` : '';
      throw new AssayError('conflict', `node ${id} does not pass (${found.outcome}${why}); see its verdicts`);
    }
    const source = await lastPassSource(database.db, id, withSets);
    if ((source.evidence.ima?.firstEntry ?? 0) === 0) return source;
  }
  throw new AssayError('unavailable', 'no verifier answered in time; is the one that holds this node up?');
}

function sealed(source: BundleSource, { privateKey, chain }: ResultSigner, url: string): string {
  const bundle = makeBundle(source, { url, version, chain: chain.map(({ der }) => toBase64(der)) });
  return sealBundle(bundle, privateKey, createPublicKey(privateKey));
}
