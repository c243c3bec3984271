import { resolve } from 'node:path';
import type { Logger } from '../../platform/logging.ts';
import { resolveSvid } from '../../platform/spiffe/config.ts';
import { openX509Source } from '../../platform/spiffe/x509-source.ts';
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

export interface PlacesContext {
  /** Our own trust domain: that of a server that names none. */
  readonly trustDomain: string;
  /** What paths of the configuration are relative to. */
  readonly directory: string;
  readonly logger: Logger;
  /** Told of what must be closed in the end. */
  readonly own: (name: string, part: { close(): Promise<void> }) => void;
}

/** The servers of a configuration. @throws {AssayError} `invalid-config` */
export function openPlaces(spire: readonly SpireConfig[], context: PlacesContext): readonly SpirePlace[] {
  return spire.map(({ name, trustDomain = context.trustDomain, at, ...rest }) => ({
    server: new SpireServer({ name, trustDomain, at: addressOf(name, at, context) }),
    ...rest,
  }));
}

/** Where the nodes of a group attest. */
export function placesOf(places: readonly SpirePlace[], group: string | null): readonly SpirePlace[] {
  return places.filter(({ groups }) => groups === undefined || (group !== null && groups.has(group)));
}

function addressOf(
  name: string,
  at: SpireConfig['at'],
  { directory, logger, own }: PlacesContext,
): SpireAddress {
  if ('socket' in at) return { socket: resolve(directory, at.socket) };
  const origin = resolveSvid(at.svid, `issuer.spire ${name}: svid`, directory);
  const svid = openX509Source(origin, logger.child({ spire: name }));
  own(`SVID for ${name}`, svid);
  return { address: at.address, svid };
}
