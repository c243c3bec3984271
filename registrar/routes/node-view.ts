import { printable, toHex } from '../../core/bytes/encoding.ts';
import type { NodeDetail, NodeSummary } from '../../core/messages/node.ts';
import { tierOf } from '../../core/result/tier.ts';
import { parseTpm2bPublic, type TpmtPublic } from '../../core/tpm/public.ts';
import type { NodeState } from '../../platform/database/schema.ts';
import { tierFacts } from '../../platform/tier-facts.ts';
import { describeEkCertificate } from '../domain/ek-certificate.ts';
import type { NodeRow } from '../store/node-queries.ts';

/** In other states a deadline is that of a trust that is over. */
const HAS_DEADLINE: ReadonlySet<NodeState> = new Set(['trusted', 'stale']);

/** A node as it stands in a list. */
export function renderSummary(row: NodeRow): NodeSummary {
  const { record, state, trust } = row;
  return {
    id: record.id,
    alias: record.alias,
    assetName: record.assetName === null ? null : printable(record.assetName),
    group: record.groupName,
    state,
    tier: tierOf(tierFacts(row)).tier,
    version: record.version,
    contact: hostPort(record.contactHost, record.contactPort),
    admission: printable(record.admissionReason),
    trustedUntil: (HAS_DEADLINE.has(state) && trust?.trustedUntil?.toISOString()) || null,
    outcome: trust?.outcome ?? null,
    reasons: (trust?.reasons ?? []).map((reason) => ({ ...reason })),
    judgedAt: trust?.judgedAt?.toISOString() ?? null,
    enrolledAt: record.enrolledAt.toISOString(),
  };
}

/** Everything about one node that people may see. */
export function renderDetail(row: NodeRow): NodeDetail {
  const { record, trust } = row;
  return {
    ...renderSummary(row),
    tierReasons: tierOf(tierFacts(row)).reasons.map((reason) => ({ ...reason })),
    ekSha256: toHex(record.ekSpkiSha256),
    ekCertificate: record.ekCertificate && describeEkCertificate(record.ekCertificate, record.ekPath),
    notes: record.ekNotes.map((note) => ({ ...note })),
    tpm: record.tpm,
    akAlgorithm: describeKey(parseTpm2bPublic(record.akPublic)),
    akName: toHex(record.akName),
    tlsSha256: record.tlsSha256 && toHex(record.tlsSha256),
    admittedBy: record.admittedBy,
    admittedAt: record.admittedAt?.toISOString() ?? null,
    ...renderTrust(trust),
  };
}

function renderTrust(trust: NodeRow['trust']) {
  const policy = trust?.policyName ? `${trust.policyName}@${trust.policyVersion}` : null;
  return {
    epoch: trust?.epoch ?? 0,
    policy,
    passes: trust?.passes ?? 0,
    tpmClock: renderClock(trust),
    changedBy: trust?.changedBy ?? null,
    note: trust?.note ? printable(trust.note) : null,
  };
}

function renderClock(trust: NodeRow['trust']): NodeDetail['tpmClock'] {
  if (!trust || trust.tpmClock === null) return null;
  const { tpmClock, tpmResetCount, tpmRestartCount } = trust;
  return {
    clock: tpmClock.toString(),
    resetCount: tpmResetCount ?? 0,
    restartCount: tpmRestartCount ?? 0,
  };
}

function describeKey(key: TpmtPublic): string {
  const size = key.type === 'rsa' ? `RSA ${key.keyBits}` : `ECC ${key.curve.toUpperCase()}`;
  const { scheme } = key;
  return 'hash' in scheme ? `${size} ${scheme.type} ${scheme.hash}` : size;
}

function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
