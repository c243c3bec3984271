import Type, { type Static } from 'typebox';
import { Alias, Finding, Instant, NodeId, NodeState, Nullable, Outcome, Sha256Hex } from './common.ts';
import { Tier } from './result.ts';

/** A row of `assay node list`: registrar's GET /v1/nodes. */
export const NodeSummary = Type.Object(
  {
    id: NodeId,
    alias: Alias,
    assetName: Nullable(Type.String()),
    group: Nullable(Type.String()),
    state: NodeState,
    tier: Tier,
    version: Type.Integer(),
    contact: Type.String({ description: 'host:port' }),
    admission: Type.String({ description: 'Why it was admitted, or what it waits for' }),
    trustedUntil: Nullable(Instant),
    outcome: Nullable(Outcome),
    reasons: Type.Array(Finding),
    judgedAt: Nullable(Instant),
    enrolledAt: Instant,
  },
  { title: 'NodeSummary' },
);
export type NodeSummary = Static<typeof NodeSummary>;

/** `assay node show`: registrar's GET /v1/nodes/:node, where :node is an id, a unique prefix of one, or an alias. */
export const NodeDetail = Type.Object(
  {
    ...NodeSummary.properties,
    tierReasons: Type.Array(Finding, { description: 'Named rules that give the tier' }),
    ekSha256: Sha256Hex,
    ekCertificate: Nullable(
      Type.Object({
        subject: Type.String(),
        issuer: Type.String(),
        serial: Type.String(),
        notAfter: Instant,
        path: Type.Array(Type.String(), { description: 'Subjects from the certificate to the trust anchor' }),
        faults: Type.Array(Type.String(), { description: 'Known encoding faults that were tolerated' }),
      }),
    ),
    notes: Type.Array(Finding),
    tpm: Type.Object({
      manufacturer: Type.Optional(Type.String()),
      model: Type.Optional(Type.String()),
      version: Type.Optional(Type.String()),
    }),
    akAlgorithm: Type.String(),
    akName: Type.String({ description: 'hex' }),
    tlsSha256: Nullable(Sha256Hex),
    admittedBy: Nullable(Type.String()),
    admittedAt: Nullable(Instant),
    epoch: Type.Integer(),
    policy: Nullable(Type.String({ description: 'name@version that gave the last verdict' })),
    passes: Type.Integer(),
    tpmClock: Nullable(
      Type.Object({ clock: Type.String(), resetCount: Type.Integer(), restartCount: Type.Integer() }),
    ),
    changedBy: Nullable(Type.String()),
    note: Nullable(Type.String()),
  },
  { title: 'NodeDetail' },
);
export type NodeDetail = Static<typeof NodeDetail>;

/** An entry of a node's history: verifier's GET /v1/nodes/:id/verdicts. */
export const VerdictRecord = Type.Object(
  {
    id: Type.Integer(),
    nodeId: NodeId,
    nodeVersion: Type.Integer(),
    at: Instant,
    outcome: Outcome,
    reasons: Type.Array(Finding),
    policy: Nullable(Type.String()),
  },
  { title: 'VerdictRecord' },
);
export type VerdictRecord = Static<typeof VerdictRecord>;

/** A change of trust: verifier's GET /v1/events (Server-Sent Events, `id` is `seq`). */
export const TrustEvent = Type.Object(
  {
    seq: Type.Integer(),
    at: Instant,
    nodeId: NodeId,
    kind: Type.Enum([
      'trusted',
      'failed',
      'banned',
      'unbanned',
      'inconclusive',
      'rebooted',
      'resumed',
      'reported',
    ]),
    epoch: Type.Integer(),
    detail: Type.Record(Type.String(), Type.Unknown()),
  },
  { title: 'TrustEvent' },
);
export type TrustEvent = Static<typeof TrustEvent>;

/** Issuer's GET /v1/certificates. */
export const CertificateRecord = Type.Object(
  {
    serial: Type.String(),
    nodeId: NodeId,
    group: Type.String(),
    keyMode: Type.Enum(['tpm', 'delivered']),
    notBefore: Instant,
    notAfter: Instant,
    recordedAt: Instant,
    revoked: Type.Boolean(),
    revokedAt: Nullable(Instant),
    reason: Nullable(Type.String()),
  },
  { title: 'CertificateRecord' },
);
export type CertificateRecord = Static<typeof CertificateRecord>;

/** Issuer's GET /v1/bans: what is wanted, and what the reconciler has reached. */
export const BanRecord = Type.Object(
  {
    nodeId: NodeId,
    wanted: Type.Boolean(),
    since: Instant,
    places: Type.Array(
      Type.Object({
        place: Type.String({ description: 'Name of the SPIRE server in the configuration' }),
        appliedAt: Type.Union([Instant, Type.Null()], {
          description: 'Since when it has been so there; null: not yet, or not any more',
        }),
        confirmedAt: Type.Union([Instant, Type.Null()], { description: 'When it was last seen to be so' }),
        attempts: Type.Integer({ description: 'How often it failed there in a row' }),
        lastError: Type.Union([Type.String(), Type.Null()], {
          description: 'Why it is not so, or not known to be',
        }),
      }),
      { description: 'What was reached where; a place that was not tried yet is missing' },
    ),
  },
  { title: 'BanRecord' },
);
export type BanRecord = Static<typeof BanRecord>;
