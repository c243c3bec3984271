import { eq } from 'drizzle-orm';
import Type from 'typebox';
import { AssayError } from '../../core/errors.ts';
import { NodeId } from '../../core/messages/common.ts';
import { Exposure, type SpireExposure } from '../../core/messages/exposure.ts';
import { node, nodeState } from '../../platform/database/schema.ts';
import type { App } from '../../platform/http/server.ts';
import { agentPath } from '../../platform/spire/agent-path.ts';
import { servedEntries } from '../../platform/spire/served.ts';
import { type End, exposureEnds, lastOf, type NodeHolds } from '../domain/exposure.ts';
import { placesOf, type SpirePlace } from '../spire/places.ts';
import { bannedSince } from '../store/bans.ts';
import { listCertificates } from '../store/certificates.ts';
import { clonesOf } from '../store/clones.ts';
import type { RoutesDeps } from './deps.ts';

/** What a node still holds, and until when. */
export function exposureRoutes(app: App, { database: { db }, spire, clock }: RoutesDeps): void {
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
      const [row] = await db
        .select({ group: node.groupName, state: nodeState.state })
        .from(node)
        .innerJoin(nodeState, eq(nodeState.nodeId, node.id))
        .where(eq(node.id, id));
      if (!row) throw new AssayError('not-found', `there is no node ${id}`);
      const [last] = await listCertificates(db, { nodeId: id, valid: false, limit: 1 });
      const certificateExpiresAt = last ? new Date(last.notAfter) : null;
      const holds: NodeHolds = { state: row.state, certificateExpiresAt };
      const known = { since: await bannedSince(db, id), clones: await clonesOf(db, id) };
      const now = clock();
      const found = await Promise.all(
        placesOf(spire, row.group).map((place) => exposureAt(place, id, holds, known, now)),
      );
      const certificateEnds = row.state === 'trusted' ? 'open' : (certificateExpiresAt ?? 'none');
      return {
        nodeId: id,
        certificateExpiresAt: certificateExpiresAt?.toISOString() ?? null,
        ends: rendered(lastOf([certificateEnds, ...found.flatMap(({ ends }) => ends)])),
        spire: found.map(({ shown }) => shown),
      };
    },
  );
}

/** By place. */
interface Known {
  readonly since: Awaited<ReturnType<typeof bannedSince>>;
  readonly clones: Awaited<ReturnType<typeof clonesOf>>;
}

interface Found {
  readonly shown: SpireExposure;
  readonly ends: readonly End[];
}

async function exposureAt(
  { server, lifetimes }: SpirePlace,
  nodeId: string,
  holds: NodeHolds,
  known: Known,
  now: Date,
): Promise<Found> {
  const path = agentPath(nodeId);
  const held = { bannedSince: known.since.get(server.name) ?? null, agentTtlSeconds: lifetimes.agentSeconds };
  const clone = known.clones.get(server.name);
  const place = {
    clone: clone ? { ...clone, seenAt: clone.seenAt.toISOString() } : null,
    server: server.name,
    agentId: `spiffe://${server.trustDomain}${path}`,
    bannedSince: held.bannedSince?.toISOString() ?? null,
  };
  try {
    const agent = await server.agent(path);
    const served = await servedEntries((parent) => server.entries(parent), agent ?? { path, selectors: [] });
    const entries = served.map(({ spiffeId, selectors, svidTtlSeconds }) => ({
      ...{ spiffeId, selectors: [...selectors] },
      svidTtlSeconds: svidTtlSeconds || lifetimes.workloadSeconds,
    }));
    const workloadTtlsSeconds = entries.map(({ svidTtlSeconds }) => svidTtlSeconds);
    const agentSvidExpiresAt = agent?.svidExpiresAt ?? null;
    const ends = exposureEnds(holds, { ...held, agentSvidExpiresAt, workloadTtlsSeconds }, now);
    const shown = {
      ...{ ...place, entries, error: null },
      agent: agent ? { banned: agent.banned, svidExpiresAt: agent.svidExpiresAt.toISOString() } : null,
      agentSvidEnds: rendered(ends.agentSvid),
      workloadSvidsEnd: rendered(ends.workloads),
    };
    return { shown, ends: [ends.agentSvid, ends.workloads] };
  } catch (error) {
    if (!(error instanceof AssayError)) throw error;
    const unknown = { agentSvidEnds: 'open', workloadSvidsEnd: 'open' } as const;
    const shown = { ...place, ...unknown, agent: null, entries: [], error: error.message };
    return { shown, ends: ['open'] };
  }
}

function rendered(end: End): string {
  return end instanceof Date ? end.toISOString() : end;
}
