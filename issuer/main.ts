import { join, resolve } from 'node:path';
import type { RandomBytes } from '../core/tpm/seed.ts';
import type { Database } from '../platform/database/index.ts';
import type { TlsMaterial } from '../platform/http/server.ts';
import type { SpiffeAccess } from '../platform/http/spiffe-listener.ts';
import { type Closable, Lifecycle } from '../platform/lifecycle.ts';
import type { Logger } from '../platform/logging.ts';
import { type Loop, startLoop } from '../platform/loop.ts';
import type { Metrics } from '../platform/metrics.ts';
import { createIssuerApp, createRevocationApp } from './app.ts';
import { banReconciler } from './bans/reconciler.ts';
import { type IssuerConfig, type IssuerSection, resolveIssuerConfig } from './config.ts';
import { crlFiles } from './crl/file.ts';
import { publishAll } from './crl/publisher.ts';
import { ocspResponder } from './ocsp/responder.ts';
import { issuerMetrics } from './routes/deps.ts';
import type { RevocationDeps } from './routes/revocation.ts';
import { type Authorities, openAuthorities } from './signer/authorities.ts';
import { spireBanPlace } from './spire/ban-place.ts';
import { openPlaces, type SpirePlace } from './spire/places.ts';
import { type SuspectedClone, spireWatch } from './spire/watch.ts';
import { banStore, followWishes } from './store/bans.ts';
import { certificateStatusLookup } from './store/certificate-status.ts';
import { challengeStore } from './store/challenges.ts';
import { recordClone } from './store/clones.ts';
import { crlStore } from './store/crls.ts';
import { issueStore } from './store/issues.ts';
import { nodeByTls } from './store/nodes.ts';

export interface IssuerDependencies {
  readonly config: IssuerSection;
  readonly trustDomain: string;
  readonly nodesDomain: string;
  /** The installation: pki/ is in it, and paths of the configuration are relative to it. */
  readonly directory: string;
  /** Of the issuing CAs' keys, when they are encrypted. */
  readonly passphrase?: string;
  /** Its owner closes it. */
  readonly database: Database;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tls: TlsMaterial;
  readonly spiffe?: SpiffeAccess;
  readonly clock: () => Date;
  readonly randomBytes: RandomBytes;
}

const SWEEP_MS = 30_000;
const DEBOUNCE_MS = 500;
/** A ban must be in SPIRE within a second of the fail that wants it. */
const BAN_DEBOUNCE_MS = 20;

/**
 * Starts an issuer; any number of them may work on one database.
 *
 * @throws {AssayError} `invalid-config` when an issuing CA is missing, expired, or not the root's, or a key is readable by others
 */
export async function startIssuer(
  deps: IssuerDependencies,
): Promise<{ url: string; close(): Promise<void> }> {
  const config = resolveIssuerConfig(deps.config);
  const { database, logger, metrics, randomBytes, trustDomain, nodesDomain } = deps;
  const authorities = await openAuthorities({
    ...deps,
    pkiDirectory: join(deps.directory, 'pki'),
    groups: config.groups,
    revocationUrl: config.revocation?.url,
    now: deps.clock(),
  });
  const parts = new Lifecycle(logger);
  try {
    const challenges = challengeStore(database.db);
    const own = (name: string, part: Closable) => void parts.own(name, part);
    const spire = openPlaces(config.spire, { trustDomain, directory: deps.directory, logger, own });
    const crls = crlStore(database);
    const ocsp = ocspResponder({
      ...{ signers: authorities.signers.values(), lookup: certificateStatusLookup(database.db) },
      ...{ lifetimeMs: config.crl.intervalMs, clock: deps.clock },
    });
    const counts = issuerMetrics(metrics, authorities);
    const app = await createIssuerApp(
      { tls: deps.tls, findNode: nodeByTls(database.db), logger },
      {
        ...{ config, trustDomain, nodesDomain, database, authorities, challenges, crls, randomBytes },
        ...{ spire, clock: deps.clock },
        issues: issueStore(database),
        ...{ ocsp, metrics: counts },
      },
      metrics,
    );
    parts.own('http', app);
    await listenForRevocation(parts, logger, { config, authorities, crls, ocsp, metrics: counts });
    const crlLoop = parts.own('crl', startCrlLoop(deps, config, authorities));
    const banLoops = startBanLoops(deps, config, spire).map((loop) => parts.own('bans', loop));
    for (const loop of startWatchLoops(deps, spire)) parts.own('agents', loop);
    parts.own('challenges', startSweepLoop(deps, challenges.sweep));
    parts.own(
      'trust events',
      await database.listen('assay_trust_event', () => wakeAll(crlLoop, ...banLoops)),
    );
    // A retired node revokes and bans without an event of trust.
    parts.own('nodes', await database.listen('assay_node', () => wakeAll(crlLoop, ...banLoops)));
    const address = await app.listenAt(config.listen, deps.spiffe);
    // Port 0 is whatever was free.
    const url = config.listen.port === 0 ? address : config.url;
    logger.info({ url, authorities: [...authorities.signers.keys()] }, 'issuer is ready');
    return { url, close: () => parts.close() };
  } catch (error) {
    await parts.close();
    throw error;
  }
}

async function listenForRevocation(parts: Lifecycle, logger: Logger, deps: RevocationDeps): Promise<void> {
  const { revocation } = deps.config;
  if (!revocation) return;
  const app = parts.own('revocation', await createRevocationApp({ logger }, deps));
  logger.info({ url: await app.listenAt(revocation.listen) }, 'CRLs and OCSP are served');
}

function wakeAll(...loops: readonly Loop[]): void {
  for (const loop of loops) loop.wake();
}

function startCrlLoop(
  { database, logger, directory }: IssuerDependencies,
  { crl }: IssuerConfig,
  { signers }: Authorities,
): Loop {
  const write = crl.directory === undefined ? undefined : crlFiles(resolve(directory, crl.directory));
  const store = crlStore(database);
  const run = async (): Promise<undefined> =>
    void (await publishAll({ store, signers, schedule: crl, write }));
  return startLoop({ name: 'crl', run, intervalMs: crl.intervalMs, debounceMs: DEBOUNCE_MS, logger });
}

/** One for each place, so that none waits for another; without a place bans are recorded as wanted. */
function startBanLoops(
  { database, logger, clock }: IssuerDependencies,
  { bans }: IssuerConfig,
  spire: readonly SpirePlace[],
): Loop[] {
  const timing = { intervalMs: bans.intervalMs, debounceMs: BAN_DEBOUNCE_MS, logger };
  if (spire.length === 0) {
    const run = async (): Promise<undefined> => void (await followWishes(database));
    return [startLoop({ name: 'bans', run, ...timing })];
  }
  const store = banStore(database);
  return spire.map((one) => {
    const place = spireBanPlace(one);
    const { round: run } = banReconciler({ store, place, clock, logger, confirmAfterMs: bans.confirmMs });
    return startLoop({ name: `bans at ${place.name}`, run, ...timing });
  });
}

function startWatchLoops(
  { database, logger, clock }: IssuerDependencies,
  spire: readonly SpirePlace[],
): Loop[] {
  return spire.map((place) => {
    const onClone = (clone: SuspectedClone) => recordClone(database, clone);
    const look = spireWatch({ place, now: () => clock().getTime(), onClone, logger });
    const run = async (): Promise<undefined> => void (await look());
    const name = `agents at ${place.server.name}`;
    return startLoop({ name, run, intervalMs: place.watchMs, debounceMs: DEBOUNCE_MS, logger });
  });
}

function startSweepLoop({ logger }: IssuerDependencies, sweep: () => Promise<number>): Loop {
  const run = async (): Promise<undefined> => void (await sweep());
  return startLoop({ name: 'challenges', run, intervalMs: SWEEP_MS, debounceMs: DEBOUNCE_MS, logger });
}
