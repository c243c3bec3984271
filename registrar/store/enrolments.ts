import { and, desc, eq, gt, isNull, sql } from 'drizzle-orm';
import { AssayError } from '../../core/errors.ts';
import type { Queries, Transaction } from '../../platform/database/index.ts';
import { type EnrolmentProtocol, enrolment } from '../../platform/database/schema.ts';
import type { EnrolmentLimits } from '../config.ts';
import { type Candidate, restoreCandidate, storeCandidate } from '../domain/candidate.ts';

export interface NewEnrolment {
  readonly id: string;
  readonly protocol: EnrolmentProtocol;
  /** requesterNetwork of the address. */
  readonly network: string;
  readonly candidate: Candidate;
  readonly proofSha256: Uint8Array;
}

/** An open challenge, as far as an answer is compared with it. */
export interface OpenEnrolment {
  readonly id: string;
  readonly proofSha256: Uint8Array;
}

const PURGE_BATCH = 200;

const open = () => and(isNull(enrolment.spentAt), gt(enrolment.expiresAt, sql`now()`));

/**
 * Keeps a challenge until it is answered or expires. When there are too many in all, the network that holds most of
 * them loses its oldest: nobody can lock out others by asking often (rule `api.limits`).
 *
 * @throws {AssayError} `rate-limited` when this network has its share already
 */
export async function openEnrolment(
  tx: Transaction,
  { id, protocol, network, candidate, proofSha256 }: NewEnrolment,
  limits: EnrolmentLimits,
): Promise<void> {
  await tx.execute(sql`SELECT pg_advisory_xact_lock(hashtextextended(${`assay enrolment ${network}`}, 0))`);
  await purge(tx);
  const mine = await tx.$count(enrolment, and(eq(enrolment.remoteAddress, network), open()));
  if (mine >= limits.maxOpenPerAddress) throw tooMany();
  if ((await tx.$count(enrolment, open())) >= limits.maxOpen) await makeRoom(tx, mine);
  await tx.insert(enrolment).values({
    id,
    nodeId: candidate.nodeId,
    alias: candidate.alias,
    protocol,
    remoteAddress: network,
    candidate: storeCandidate(candidate),
    proofSha256,
    expiresAt: sql`now() + make_interval(secs => ${limits.lifetimeSeconds})`,
  });
}

/** The open challenge of our own protocol with this id. */
export async function findEnrolment(db: Queries, id: string): Promise<OpenEnrolment | undefined> {
  const rows = await db
    .select({ id: enrolment.id, proofSha256: enrolment.proofSha256 })
    .from(enrolment)
    .where(and(eq(enrolment.id, id), eq(enrolment.protocol, 'assay'), open()));
  return rows[0];
}

/** The open challenges of a Keylime agent that were asked for from this network, newest first. */
export async function findKeylimeEnrolments(
  db: Queries,
  alias: string,
  network: string,
): Promise<OpenEnrolment[]> {
  return db
    .select({ id: enrolment.id, proofSha256: enrolment.proofSha256 })
    .from(enrolment)
    .where(
      and(
        eq(enrolment.alias, alias),
        eq(enrolment.remoteAddress, network),
        eq(enrolment.protocol, 'keylime'),
        open(),
      ),
    )
    .orderBy(desc(enrolment.createdAt), desc(enrolment.id));
}

export interface SpentEnrolment {
  readonly candidate: Candidate;
  readonly protocol: EnrolmentProtocol;
}

/** Spends a challenge. Of several at once, one gets the candidate: the others find it spent. */
export async function spendEnrolment(
  db: Queries | Transaction,
  id: string,
): Promise<SpentEnrolment | undefined> {
  const rows = await db
    .update(enrolment)
    .set({ spentAt: sql`now()` })
    .where(and(eq(enrolment.id, id), open()))
    .returning({ candidate: enrolment.candidate, protocol: enrolment.protocol });
  const [row] = rows;
  return row && { candidate: restoreCandidate(row.candidate), protocol: row.protocol };
}

async function purge(tx: Transaction): Promise<void> {
  await tx.execute(sql`
    DELETE FROM enrolment WHERE id IN (
      SELECT id FROM enrolment WHERE expires_at < now() - interval '1 minute' LIMIT ${PURGE_BATCH}
      FOR UPDATE SKIP LOCKED)`);
}

async function makeRoom(tx: Transaction, mine: number): Promise<void> {
  const [heaviest] = await tx
    .select({ network: enrolment.remoteAddress, count: sql<number>`count(*)::int` })
    .from(enrolment)
    .where(open())
    .groupBy(enrolment.remoteAddress)
    .orderBy(desc(sql`count(*)`))
    .limit(1);
  if (!heaviest || heaviest.count <= mine) throw tooMany();
  await tx.execute(sql`
    DELETE FROM enrolment WHERE id IN (
      SELECT id FROM enrolment
      WHERE remote_address = ${heaviest.network} AND spent_at IS NULL AND expires_at > now()
      ORDER BY created_at LIMIT 1)`);
}

function tooMany(): AssayError {
  return new AssayError(
    'rate-limited',
    'too many enrolments from this address are waiting for their answer; try again in a minute',
  );
}
