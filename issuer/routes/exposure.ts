import { eq } from 'drizzle-orm';
import Type from 'typebox';
import { AssayError } from '../../core/errors.ts';
import { Instant, NodeId } from '../../core/messages/common.ts';
import { node } from '../../platform/database/schema.ts';
import type { App } from '../../platform/http/server.ts';
import { agentPath } from '../../platform/spire/agent-path.ts';
import { placesOf, type SpirePlace } from '../spire/places.ts';
import { listCertificates } from '../store/certificates.ts';
import type { RoutesDeps } from './deps.ts';

const SpireExposure = Type.Object({
  server: Type.String(),
  agentId: Type.String(),
  agent: Type.Union([
    Type.Object({ banned: Type.Boolean(), svidExpiresAt: Instant }),
    Type.Null({ description: 'SPIRE does not know it' }),
  ]),
  entries: Type.Array(
    Type.Object({
      spiffeId: Type.String(),
      selectors: Type.Array(Type.String()),
      svidTtlSeconds: Type.Integer({ description: "0: the server's default_x509_svid_ttl" }),
    }),
  ),
  error: Type.Union([Type.String(), Type.Null()]),
});

const Exposure = Type.Object(
  {
    nodeId: NodeId,
    certificateExpiresAt: Type.Union([Instant, Type.Null()], {
      description: 'End of its last certificate, revoked or not: SPIRE reads no CRL',
    }),
    spire: Type.Array(SpireExposure),
  },
  { title: 'Exposure' },
);

/** What a node still holds, and until when. */
export function exposureRoutes(app: App, { database: { db }, spire }: RoutesDeps): void {
  app.get(
    '/v1/nodes/:id/exposure',
    {
      config: { access: ['admin', 'viewer'], errors: ['not-found'] },
      schema: {
        operationId: 'getExposure',
        summary: 'What a node holds until when: its certificate, its agent in SPIRE, and what hangs on that',
        params: Type.Object({ id: NodeId }),
        response: { 200: Exposure },
      },
    },
    async ({ params: { id } }) => {
      const [row] = await db.select({ group: node.groupName }).from(node).where(eq(node.id, id));
      if (!row) throw new AssayError('not-found', `there is no node ${id}`);
      const [last] = await listCertificates(db, { nodeId: id, valid: false, limit: 1 });
      return {
        nodeId: id,
        certificateExpiresAt: last?.notAfter ?? null,
        spire: await Promise.all(placesOf(spire, row.group).map((place) => exposureAt(place, id))),
      };
    },
  );
}

async function exposureAt({ server }: SpirePlace, nodeId: string) {
  const path = agentPath(nodeId);
  const place = { server: server.name, agentId: `spiffe://${server.trustDomain}${path}` };
  try {
    const agent = await server.agent(path);
    const entries = await server.entries(path);
    return {
      ...place,
      agent: agent ? { banned: agent.banned, svidExpiresAt: agent.svidExpiresAt.toISOString() } : null,
      entries: entries.map(({ spiffeId, selectors, svidTtlSeconds }) => ({
        ...{ spiffeId, svidTtlSeconds },
        selectors: [...selectors],
      })),
      error: null,
    };
  } catch (error) {
    if (!(error instanceof AssayError)) throw error;
    return { ...place, agent: null, entries: [], error: error.message };
  }
}
