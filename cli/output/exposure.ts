import type { Exposure, SpireExposure } from '../../core/messages/exposure.ts';
import { relative } from './style.ts';
import { type Field, shown } from './table.ts';

/** What a node still holds, and until when, for people. */
export function exposureFields({ certificateExpiresAt, ends, spire }: Exposure, now: Date): readonly Field[] {
  return [
    ['exposure', ends === 'open' ? 'goes on' : until(ends, now)],
    ['certificate', certificateExpiresAt === null ? 'none' : until(certificateExpiresAt, now)],
    ...spire.flatMap((server) => serverFields(server, now)),
  ];
}

function serverFields(at: SpireExposure, now: Date): readonly Field[] {
  const { server, agentId, agent, bannedSince, clone, entries, error } = at;
  const place: Field[] = [
    ['SPIRE', shown(server)],
    ['agent', shown(agentId)],
  ];
  if (clone !== null) place.push(['clone', shown(`${clone.seenAt}: ${clone.message}`)]);
  if (error !== null) return [...place, ['state', shown(error)]];
  const state = agent === null ? 'not known' : agent.banned ? 'banned' : 'active';
  return [
    ...place,
    ['state', bannedSince === null ? state : `${state}, since ${bannedSince}`],
    ['agent SVID', until(at.agentSvidEnds, now)],
    ['workload SVIDs', until(at.workloadSvidsEnd, now)],
    [
      'workloads',
      entries.map((one) => `${shown(one.spiffeId)}, SVIDs of ${one.svidTtlSeconds} s`).join('\n') || 'none',
    ],
  ];
}

function until(end: string, now: Date): string {
  if (end === 'open') return 'renewed as long as it passes';
  return end === 'none' ? 'none' : `until ${end} (${relative(end, now)})`;
}
