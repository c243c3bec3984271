import { hash } from 'node:crypto';
import { eq, sql } from 'drizzle-orm';
import { equalBytes, toHex } from '../../core/bytes/encoding.ts';
import { AssayError } from '../../core/errors.ts';
import { shardOf } from '../../core/identity.ts';
import { appendAudit } from '../../platform/audit.ts';
import type { Transaction } from '../../platform/database/index.ts';
import { node } from '../../platform/database/schema.ts';
import { type AdmissionDecision, decideAdmission } from '../domain/admission.ts';
import type { Candidate } from '../domain/candidate.ts';
import { channelNotes, checkChannelKept } from '../domain/channel.ts';
import { previousContact } from '../domain/previous-contact.ts';
import { claim, findInventory, findToken } from './admission-facts.ts';
import type { SpentEnrolment } from './enrolments.ts';
import { aliasHolder, findByTls, lockAlias, lockRecord, lockTls, type NodeRecord } from './records.ts';

/**
 * Makes the candidate, whose TPM has answered, the node's record: a new one, or the next version of the one of the
 * same EK. In the transaction that spent the challenge, so that all of it happens once or not at all.
 *
 * @throws {AssayError} `identity-refused` or `conflict` when another node's alias or TLS certificate is in the way
 */
export async function completeEnrolment(tx: Transaction, spent: SpentEnrolment): Promise<void> {
  const { candidate, protocol } = spent;
  await lockAlias(tx, candidate.alias);
  await checkTls(tx, candidate);
  const before = await lockRecord(tx, candidate.nodeId);
  if (before) {
    checkSameEk(before, candidate);
    checkChannelKept(before, protocol);
  }
  const holder = await aliasHolder(tx, candidate.alias, candidate.nodeId);
  if (before?.admission === 'admitted' && holder !== null) throw aliasTaken(candidate.alias, holder);
  const decision = decideAdmission({
    current: before ? standing(before) : null,
    aliasHolder: holder,
    hasCertificate: candidate.ekCertificate !== null,
    hasTls: candidate.tlsCertificate !== null,
    inventory: await findInventory(tx, candidate),
    token: await findToken(tx, candidate.tokenSha256),
  });
  if (before) await writeNext(tx, before, spent, decision);
  else await tx.insert(node).values({ ...firstRecord(spent), ...admissionColumns(decision) });
  await claim(tx, decision.claims, candidate.nodeId);
  await record(tx, before, spent, decision);
}

async function writeNext(
  tx: Transaction,
  before: NodeRecord,
  spent: SpentEnrolment,
  decision: AdmissionDecision,
): Promise<void> {
  const { candidate } = spent;
  const known = {
    host: before.contactHost,
    port: before.contactPort,
    tlsCertificate: before.tlsCertificate,
    akPublic: before.akPublic,
    previous: before.previousContact,
  };
  const now = { ...candidate.contact, tlsCertificate: candidate.tlsCertificate };
  const changed = decision.claims !== null || decision.admission === 'pending';
  await tx
    .update(node)
    .set({
      ...identityColumns(spent),
      version: sql`${node.version} + 1`,
      enrolledAt: sql`now()`,
      previousContact: previousContact(known, now),
      ...(changed ? admissionColumns(decision) : {}),
    })
    .where(eq(node.id, before.id));
}

function firstRecord(spent: SpentEnrolment) {
  const { nodeId, ekSpkiSha256 } = spent.candidate;
  return { id: nodeId, ekSpkiSha256, shard: shardOf(nodeId), ...identityColumns(spent) };
}

function identityColumns({ candidate, protocol }: SpentEnrolment) {
  return {
    protocol,
    alias: candidate.alias,
    ekPublic: candidate.ekPublic,
    ekCertificate: candidate.ekCertificate,
    ekPath: candidate.ekPath,
    ekNotes: [...candidate.notes, ...channelNotes(candidate, protocol)],
    tpm: candidate.tpm,
    akPublic: candidate.akPublic,
    akName: candidate.akName,
    tlsCertificate: candidate.tlsCertificate,
    tlsSha256: tlsHash(candidate),
    contactHost: candidate.contact.host,
    contactPort: candidate.contact.port,
    apiVersion: candidate.apiVersion,
  };
}

function admissionColumns({ admission, reason, admittedBy, group, assetName }: AdmissionDecision) {
  return {
    admission,
    admissionReason: reason,
    admittedBy,
    admittedAt: admission === 'admitted' ? sql`now()` : null,
    groupName: group,
    assetName,
  };
}

function standing(record: NodeRecord) {
  const { admission, admissionReason: reason, admittedBy, groupName: group, assetName } = record;
  return { admission, reason, admittedBy, group, assetName };
}

// The id holds 122 bits of the hash; the record holds all of them.
function checkSameEk(before: NodeRecord, candidate: Candidate): void {
  if (equalBytes(before.ekSpkiSha256, candidate.ekSpkiSha256)) return;
  const message = `node ${candidate.nodeId} has another endorsement key`;
  throw new AssayError('identity-refused', message, { details: [{ rule: 'id.immutable', message }] });
}

// One TLS key is one node: a second node that has it is a copy of the first.
async function checkTls(tx: Transaction, candidate: Candidate): Promise<void> {
  const sha256 = tlsHash(candidate);
  if (!sha256) return;
  await lockTls(tx, sha256);
  const holder = await findByTls(tx, sha256);
  if (holder === undefined || holder === candidate.nodeId) return;
  const message = `the TLS certificate is registered to node ${holder}; if this machine is a copy of that one, delete the copied TLS key and enrol again`;
  throw new AssayError('identity-refused', message, { details: [{ rule: 'id.clone', message }] });
}

function aliasTaken(alias: string, holder: string): AssayError {
  const message = `the alias ${alias} is held by node ${holder}; retire that node, or give this one another alias`;
  return new AssayError('conflict', message, { details: [{ rule: 'id.immutable', message }] });
}

function tlsHash({ tlsCertificate }: Candidate): Uint8Array | null {
  return tlsCertificate && new Uint8Array(hash('sha256', tlsCertificate, 'buffer'));
}

async function record(
  tx: Transaction,
  before: NodeRecord | undefined,
  { candidate, protocol }: SpentEnrolment,
  { admission, reason, admittedBy, group, claims }: AdmissionDecision,
): Promise<void> {
  const tls = tlsHash(candidate);
  await appendAudit(tx, {
    actor: `node:${candidate.nodeId}`,
    act: before ? 'node.re-enrol' : 'node.enrol',
    subject: candidate.nodeId,
    detail: {
      version: (before?.version ?? 0) + 1,
      protocol,
      alias: candidate.alias,
      contact: `${candidate.contact.host}:${candidate.contact.port}`,
      akName: toHex(candidate.akName),
      tlsSha256: tls && toHex(tls),
      admission,
      ...(claims === null ? {} : { reason, admittedBy, group }),
    },
  });
}
