import {
  bigint,
  boolean,
  customType,
  integer,
  jsonb,
  numeric,
  pgTable,
  pgView,
  primaryKey,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core';

// The tables of migrations/, for queries with types. The SQL is the truth and carries the comments; each
// table is written by the one service named there.

const bytea = customType<{ data: Uint8Array; driverData: Buffer }>({
  dataType: () => 'bytea',
  toDriver: (value) => Buffer.from(value.buffer, value.byteOffset, value.byteLength),
});

const byteaArray = customType<{ data: readonly Uint8Array[]; driverData: readonly Buffer[] }>({
  dataType: () => 'bytea[]',
  toDriver: (value) => value.map((item) => Buffer.from(item)),
});

const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' });

/** A finding as it is stored and sent: a stable rule code and a sentence. */
export interface StoredFinding {
  readonly rule: string;
  readonly message: string;
  readonly pcr?: number;
}

/** TPM properties read from the EK certificate's subject alternative name. */
export interface StoredTpm {
  readonly manufacturer?: string;
  readonly model?: string;
  readonly version?: string;
}

/** Where a node's record before the last enrolment could be reached. `tlsCertificate` is base64 DER. */
export interface PreviousContact {
  readonly host: string;
  readonly port: number;
  readonly tlsCertificate: string | null;
  readonly akPublic: string;
}

export type Admission = 'pending' | 'admitted' | 'retired';
export type Standing = 'unknown' | 'passing' | 'failed' | 'banned';
export type Outcome = 'pass' | 'fail' | 'inconclusive';
export type NodeState = 'pending' | 'enrolled' | 'trusted' | 'stale' | 'failed' | 'banned' | 'retired';
export type KeyMode = 'tpm' | 'delivered';
/** How a node enrols: Keylime's registration, or ours. */
export type EnrolmentProtocol = 'keylime' | 'assay';

export const node = pgTable('node', {
  id: uuid('id').primaryKey(),
  version: integer('version').notNull().default(1),
  alias: text('alias').notNull(),
  ekSpkiSha256: bytea('ek_spki_sha256').notNull(),
  ekPublic: bytea('ek_public').notNull(),
  ekCertificate: bytea('ek_certificate'),
  ekPath: byteaArray('ek_path').notNull().default([]),
  ekNotes: jsonb('ek_notes').$type<readonly StoredFinding[]>().notNull().default([]),
  tpm: jsonb('tpm').$type<StoredTpm>().notNull().default({}),
  akPublic: bytea('ak_public').notNull(),
  akName: bytea('ak_name').notNull(),
  tlsCertificate: bytea('tls_certificate'),
  tlsSha256: bytea('tls_sha256'),
  contactHost: text('contact_host').notNull(),
  contactPort: integer('contact_port').notNull(),
  apiVersion: text('api_version').notNull(),
  previousContact: jsonb('previous_contact').$type<PreviousContact>(),
  admission: text('admission').$type<Admission>().notNull(),
  admissionReason: text('admission_reason').notNull(),
  admittedBy: text('admitted_by'),
  admittedAt: instant('admitted_at'),
  retiredAt: instant('retired_at'),
  groupName: text('group_name'),
  assetName: text('asset_name'),
  shard: integer('shard').notNull(),
  createdAt: instant('created_at').notNull().defaultNow(),
  enrolledAt: instant('enrolled_at').notNull().defaultNow(),
  protocol: text('protocol').$type<EnrolmentProtocol>(),
});

export const enrolment = pgTable('enrolment', {
  id: uuid('id').primaryKey(),
  nodeId: uuid('node_id').notNull(),
  alias: text('alias').notNull(),
  protocol: text('protocol').$type<EnrolmentProtocol>().notNull(),
  remoteAddress: text('remote_address').notNull(),
  candidate: jsonb('candidate').$type<unknown>().notNull(),
  proofSha256: bytea('proof_sha256').notNull(),
  createdAt: instant('created_at').notNull().defaultNow(),
  expiresAt: instant('expires_at').notNull(),
  spentAt: instant('spent_at'),
});

export const inventory = pgTable('inventory', {
  id: uuid('id').primaryKey(),
  ekSha256: bytea('ek_sha256'),
  certificateSerial: text('certificate_serial'),
  certificateIssuer: text('certificate_issuer'),
  assetName: text('asset_name').notNull(),
  groupName: text('group_name').notNull(),
  createdBy: text('created_by').notNull(),
  createdAt: instant('created_at').notNull().defaultNow(),
  nodeId: uuid('node_id'),
});

export const joinToken = pgTable('join_token', {
  id: uuid('id').primaryKey(),
  secretSha256: bytea('secret_sha256').notNull(),
  groupName: text('group_name').notNull(),
  note: text('note').notNull().default(''),
  createdBy: text('created_by').notNull(),
  createdAt: instant('created_at').notNull().defaultNow(),
  expiresAt: instant('expires_at').notNull(),
  usedAt: instant('used_at'),
  usedBy: uuid('used_by'),
});

export const trustAnchor = pgTable('trust_anchor', {
  sha256: bytea('sha256').primaryKey(),
  der: bytea('der').notNull(),
  subject: text('subject').notNull(),
  kind: text('kind').$type<'root' | 'intermediate'>().notNull(),
  source: text('source').notNull(),
  addedBy: text('added_by').notNull(),
  addedAt: instant('added_at').notNull().defaultNow(),
  removedAt: instant('removed_at'),
});

export const policy = pgTable(
  'policy',
  {
    name: text('name').notNull(),
    version: integer('version').notNull(),
    document: text('document').notNull(),
    sha256: bytea('sha256').notNull(),
    createdBy: text('created_by').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
    judges: text('judges').$type<'boot' | 'files'>().array(),
  },
  (table) => [primaryKey({ columns: [table.name, table.version] })],
);

export const policyAssignment = pgTable('policy_assignment', {
  subject: text('subject').primaryKey(),
  policyName: text('policy_name').notNull(),
  assignedBy: text('assigned_by').notNull(),
  assignedAt: instant('assigned_at').notNull().defaultNow(),
});

export const nodeTrust = pgTable('node_trust', {
  nodeId: uuid('node_id').primaryKey(),
  epoch: integer('epoch').notNull().default(0),
  standing: text('standing').$type<Standing>().notNull().default('unknown'),
  nodeVersion: integer('node_version').notNull().default(0),
  trustedUntil: instant('trusted_until'),
  outcome: text('outcome').$type<Outcome>(),
  reasons: jsonb('reasons').$type<readonly StoredFinding[]>().notNull().default([]),
  judgedAt: instant('judged_at'),
  passedAt: instant('passed_at'),
  passes: bigint('passes', { mode: 'number' }).notNull().default(0),
  policyName: text('policy_name'),
  policyVersion: integer('policy_version'),
  tpmClock: numeric('tpm_clock', { precision: 20, scale: 0, mode: 'bigint' }),
  tpmResetCount: bigint('tpm_reset_count', { mode: 'number' }),
  tpmRestartCount: bigint('tpm_restart_count', { mode: 'number' }),
  changedAt: instant('changed_at').notNull().defaultNow(),
  changedBy: text('changed_by').notNull().default('verifier'),
  note: text('note').notNull().default(''),
  toldEpoch: integer('told_epoch').notNull().default(0),
  ima: jsonb('ima'),
});

export const digestSet = pgTable('digest_set', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  bytes: bytea('bytes').notNull(),
  entries: integer('entries').notNull(),
  createdAt: instant('created_at').notNull().defaultNow(),
  createdBy: text('created_by').notNull(),
});

export const bootLog = pgTable('boot_log', {
  sha256: text('sha256').primaryKey(),
  bytes: bytea('bytes').notNull(),
  seenAt: instant('seen_at').notNull().defaultNow(),
});

export const trustEvent = pgTable('trust_event', {
  seq: bigint('seq', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
  at: instant('at').notNull().defaultNow(),
  nodeId: uuid('node_id').notNull(),
  kind: text('kind').notNull(),
  epoch: integer('epoch').notNull(),
  detail: jsonb('detail').$type<Readonly<Record<string, unknown>>>().notNull().default({}),
});

export const verdict = pgTable('verdict', {
  id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
  nodeId: uuid('node_id').notNull(),
  nodeVersion: integer('node_version').notNull(),
  at: instant('at').notNull().defaultNow(),
  outcome: text('outcome').$type<Outcome>().notNull(),
  reasons: jsonb('reasons').$type<readonly StoredFinding[]>().notNull().default([]),
  policyName: text('policy_name'),
  policyVersion: integer('policy_version'),
  evidence: jsonb('evidence').$type<unknown>(),
});

export const lastEvidence = pgTable('last_evidence', {
  nodeId: uuid('node_id').primaryKey(),
  at: instant('at').notNull().defaultNow(),
  evidence: jsonb('evidence').$type<unknown>().notNull(),
});

export const issueChallenge = pgTable('issue_challenge', {
  nonceSha256: bytea('nonce_sha256').primaryKey(),
  nodeId: uuid('node_id').notNull(),
  nodeVersion: integer('node_version').notNull(),
  expiresAt: instant('expires_at').notNull(),
});

export const certificate = pgTable('certificate', {
  serial: bytea('serial').primaryKey(),
  seq: bigint('seq', { mode: 'number' }).notNull().generatedAlwaysAsIdentity(),
  nodeId: uuid('node_id').notNull(),
  nodeVersion: integer('node_version').notNull(),
  epoch: integer('epoch').notNull(),
  groupName: text('group_name').notNull(),
  authoritySha256: bytea('authority_sha256').notNull(),
  keyMode: text('key_mode').$type<KeyMode>().notNull(),
  subjectSpkiSha256: bytea('subject_spki_sha256').notNull(),
  notBefore: instant('not_before').notNull(),
  notAfter: instant('not_after').notNull(),
  recordedAt: instant('recorded_at').notNull().defaultNow(),
  der: bytea('der'),
});

export const crl = pgTable('crl', {
  authoritySha256: bytea('authority_sha256').primaryKey(),
  number: bigint('number', { mode: 'number' }).notNull(),
  thisUpdate: instant('this_update').notNull(),
  nextUpdate: instant('next_update').notNull(),
  contentSha256: bytea('content_sha256').notNull(),
  der: bytea('der').notNull(),
});

export const ban = pgTable('ban', {
  nodeId: uuid('node_id').primaryKey(),
  wanted: boolean('wanted').notNull(),
  epoch: integer('epoch').notNull(),
  since: instant('since').notNull().defaultNow(),
});

export const banPlace = pgTable(
  'ban_place',
  {
    nodeId: uuid('node_id').notNull(),
    place: text('place').notNull(),
    wanted: boolean('wanted').notNull(),
    epoch: integer('epoch').notNull(),
    appliedAt: instant('applied_at'),
    confirmedAt: instant('confirmed_at'),
    attempts: integer('attempts').notNull().default(0),
    lastError: text('last_error'),
  },
  (table) => [primaryKey({ columns: [table.nodeId, table.place] })],
);

export const spireClone = pgTable(
  'spire_clone',
  {
    nodeId: uuid('node_id').notNull(),
    place: text('place').notNull(),
    seenAt: instant('seen_at').notNull().defaultNow(),
    message: text('message').notNull(),
    endsTrust: boolean('ends_trust').notNull(),
  },
  (table) => [primaryKey({ columns: [table.nodeId, table.place] })],
);

export const webhook = pgTable('webhook', {
  name: text('name').primaryKey(),
  seq: bigint('seq', { mode: 'number' }).notNull(),
  deliveredAt: instant('delivered_at'),
  failures: integer('failures').notNull().default(0),
  lastError: text('last_error'),
  nextAt: instant('next_at').notNull().defaultNow(),
  goneAt: instant('gone_at'),
  owner: uuid('owner'),
  leasedUntil: instant('leased_until'),
});

export const auditLog = pgTable('audit_log', {
  seq: bigint('seq', { mode: 'number' }).primaryKey(),
  at: instant('at').notNull(),
  actor: text('actor').notNull(),
  act: text('act').notNull(),
  subject: text('subject').notNull(),
  detail: jsonb('detail').$type<Readonly<Record<string, unknown>>>().notNull(),
  previousHash: bytea('previous_hash').notNull(),
  hash: bytea('hash').notNull(),
});

export const nodeState = pgView('node_state', {
  nodeId: uuid('node_id').notNull(),
  state: text('state').$type<NodeState>().notNull(),
}).existing();

export const certificateStatus = pgView('certificate_status', {
  serial: bytea('serial').notNull(),
  nodeId: uuid('node_id').notNull(),
  authoritySha256: bytea('authority_sha256').notNull(),
  notAfter: instant('not_after').notNull(),
  revoked: boolean('revoked').notNull(),
  revokedAt: instant('revoked_at'),
  reason: text('reason').$type<'failed' | 'banned' | 'retired'>(),
}).existing();
