import { createHash } from 'node:crypto';
import { equalBytes } from '../../core/bytes/encoding.ts';
import { type RevokedCertificate, revocationOf, wholeSecond } from '../domain/revocation.ts';
import type { CrlRequest, Signer } from '../signer/signer.ts';

export interface PublishedCrl {
  readonly number: bigint;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  /** SHA-256 of the entries, whatever the CRL's number and dates are. */
  readonly contentSha256: Uint8Array;
  readonly der: Uint8Array;
}

/** What the next CRL is decided on, while nobody else can make one. */
interface CrlFacts {
  readonly previous: PublishedCrl | undefined;
  /** The database's clock. */
  readonly now: Date;
  /** In the order of serial numbers. */
  readonly revoked: readonly RevokedCertificate[];
}

export interface CrlStore {
  current(authoritySha256: Uint8Array): Promise<PublishedCrl | undefined>;
  /**
   * One at a time for each authority, in all processes. `make` answers undefined when the previous CRL still says it
   * all. The result is the CRL that counts afterwards.
   */
  next(
    authoritySha256: Uint8Array,
    make: (facts: CrlFacts) => Promise<PublishedCrl | undefined>,
  ): Promise<PublishedCrl | undefined>;
}

export interface CrlSchedule {
  readonly intervalMs: number;
  readonly lifetimeMs: number;
}

/** A part of the interval: timers and clocks do not tick together, and a round must not pass for nothing. */
const DUE = 0.9;

export interface PublishAllOptions {
  readonly store: CrlStore;
  /** By name. */
  readonly signers: ReadonlyMap<string, Signer>;
  readonly schedule: CrlSchedule;
  /** Where CRLs go besides the database. */
  readonly write?: ((name: string, crl: PublishedCrl) => Promise<void>) | undefined;
}

/** One round over all issuing CAs. One that fails does not hold up another. @throws {AggregateError} at the end */
export async function publishAll({ store, signers, schedule, write }: PublishAllOptions): Promise<void> {
  const errors: unknown[] = [];
  for (const [name, signer] of signers) {
    try {
      const published = await publishCrl(store, signer, schedule);
      if (published) await write?.(name, published);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, `${errors.length} of ${signers.size} CRLs failed`);
}

/**
 * Makes an issuing CA's next CRL when something was revoked, or when the last one is as old as the interval. Several
 * issuers may do so at once: whoever comes second finds nothing left to do.
 */
export async function publishCrl(
  store: CrlStore,
  signer: Signer,
  schedule: CrlSchedule,
): Promise<PublishedCrl | undefined> {
  return store.next(signer.sha256, async ({ previous, now, revoked }) => {
    const contentSha256 = digestOf(revoked);
    const same = previous && equalBytes(previous.contentSha256, contentSha256);
    if (same && now.getTime() - previous.thisUpdate.getTime() < DUE * schedule.intervalMs) return undefined;
    const request = requestOf({ previous, now, revoked }, schedule.lifetimeMs);
    const { number, thisUpdate, nextUpdate } = request;
    return { number, thisUpdate, nextUpdate, contentSha256, der: await signer.signCrl(request) };
  });
}

function requestOf({ previous, now, revoked }: CrlFacts, lifetimeMs: number): CrlRequest {
  const thisUpdate = wholeSecond(now);
  return {
    number: (previous?.number ?? 0n) + 1n,
    thisUpdate,
    nextUpdate: new Date(thisUpdate.getTime() + lifetimeMs),
    revoked: revoked.map((row) => ({ serial: row.serial, ...revocationOf(row, now) })),
  };
}

function digestOf(revoked: readonly RevokedCertificate[]): Uint8Array {
  const hash = createHash('sha256');
  for (const { serial, reason } of revoked) hash.update(`${Buffer.from(serial).toString('hex')} ${reason}\n`);
  return new Uint8Array(hash.digest());
}
