import { resolve } from 'node:path';
import type { SpireAddress } from '../../platform/spire/connection.ts';
import { SpireServer } from '../../platform/spire/server.ts';
import type { SpireConfig, SpireLifetimes } from '../config.ts';

/** A SPIRE server, and the groups whose nodes attest there. */
export interface SpirePlace {
  readonly server: Pick<
    SpireServer,
    'name' | 'trustDomain' | 'ban' | 'forget' | 'agent' | 'agents' | 'entries'
  >;
  /** Absent: every node. */
  readonly groups: ReadonlySet<string> | undefined;
  readonly lifetimes: SpireLifetimes;
  /** What becomes of a node whose agent looks cloned. */
  readonly clones: SpireConfig['clones'];
  readonly watchMs: number;
}

/** The servers of a configuration. @param directory what its paths are relative to */
export function openPlaces(
  spire: readonly SpireConfig[],
  ours: string,
  directory: string,
): readonly SpirePlace[] {
  return spire.map(({ name, trustDomain = ours, at, ...rest }) => ({
    server: new SpireServer({ name, trustDomain, at: absolute(directory, at) }),
    ...rest,
  }));
}

/** Where the nodes of a group attest. */
export function placesOf(places: readonly SpirePlace[], group: string | null): readonly SpirePlace[] {
  return places.filter(({ groups }) => groups === undefined || (group !== null && groups.has(group)));
}

function absolute(directory: string, at: SpireAddress): SpireAddress {
  const from = (file: string) => resolve(directory, file);
  if ('socket' in at) return { socket: from(at.socket) };
  const { certificate, key, bundle } = at.svid;
  return { ...at, svid: { certificate: from(certificate), key: from(key), bundle: from(bundle) } };
}
