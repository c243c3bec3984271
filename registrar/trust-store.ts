import type { Database } from '../platform/database/index.ts';
import type { TrustedSet } from './domain/ek-appraisal.ts';
import { appraise, checkCertificates, trustedSet } from './domain/ek-appraisal.ts';
import type { TrustStore } from './domain/trust-store.ts';
import { ANCHORS_CHANGED, listAnchors } from './store/trust-anchors.ts';

/** How long what was read counts at most, should a notification be lost. */
const MAX_AGE_MS = 30_000;

export interface TrustStoreDeps {
  readonly database: Database;
  readonly clock: () => Date;
}

export interface OpenTrustStore extends TrustStore {
  close(): Promise<void>;
}

/** The trust store of this process: read once, and again when any registrar has changed it. */
export async function openTrustStore({ database, clock }: TrustStoreDeps): Promise<OpenTrustStore> {
  let loaded: { readonly set: Promise<TrustedSet>; readonly at: number } | undefined;
  const reload = () => {
    loaded = undefined;
  };
  const current = (): Promise<TrustedSet> => {
    const now = clock().getTime();
    if (loaded && now - loaded.at >= 0 && now - loaded.at < MAX_AGE_MS) return loaded.set;
    const set = listAnchors(database.db).then(trustedSet);
    loaded = { set, at: now };
    // What could not be read is asked for again, not remembered.
    set.catch(reload);
    return set;
  };
  const listener = await database.listen(ANCHORS_CHANGED, reload);
  return {
    async judge() {
      const set = await current();
      return (certificates, ekSpki) => appraise(set, certificates, ekSpki, clock());
    },
    async check(pem) {
      return checkCertificates(await current(), pem, clock());
    },
    reload,
    close: () => listener.close(),
  };
}
