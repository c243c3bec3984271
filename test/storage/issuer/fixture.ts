import { hash, randomBytes } from 'node:crypto';
import type pg from 'pg';
import { toBase64 } from '../../../core/bytes/encoding.ts';
import { nodeIdOf } from '../../../core/identity.ts';
import type { IssueRequest } from '../../../core/messages/issue.ts';
import { spkiOf } from '../../../core/tpm/key.ts';
import { marshalTpm2bPublic } from '../../../core/tpm/public.ts';
import type { IssueDependencies } from '../../../issuer/domain/issue.ts';
import type { Signer } from '../../../issuer/signer/signer.ts';
import { challengeStore } from '../../../issuer/store/challenges.ts';
import { issueStore } from '../../../issuer/store/issues.ts';
import type { Database } from '../../../platform/database/index.ts';
import { SoftwareTpm } from '../../../tpm-sim/fleet/software-tpm.ts';

export interface TestNode {
  readonly id: string;
  readonly tpm: SoftwareTpm;
}

export const sha256 = (bytes: Uint8Array | string) => new Uint8Array(hash('sha256', bytes, 'buffer'));

/** A node as the registrar records it after an activation, admitted to the group `web`. */
export async function addNode(
  database: Database,
  overrides: Readonly<Record<string, unknown>> = {},
): Promise<TestNode> {
  const tpm = new SoftwareTpm(Date.now);
  const id = nodeIdOf(spkiOf(tpm.ek.publicArea));
  const columns: Record<string, unknown> = {
    id,
    alias: `node-${id}`,
    ek_spki_sha256: sha256(spkiOf(tpm.ek.publicArea)),
    ek_public: tpm.ekPublic,
    ak_public: tpm.akPublic,
    ak_name: tpm.akName,
    contact_host: '127.0.0.1',
    contact_port: 9002,
    api_version: '2.2',
    admission: 'admitted',
    admission_reason: 'test',
    admitted_at: new Date(),
    group_name: 'web',
    shard: 0,
    ...overrides,
  };
  const names = Object.keys(columns);
  await database.pool.query(
    `INSERT INTO node (${names.join(', ')}) VALUES (${names.map((_, index) => `$${index + 1}`).join(', ')})`,
    Object.values(columns),
  );
  return { id, tpm };
}

/** A pass, as the verifier records it. */
export async function pass(database: Database, nodeId: string, seconds = 3600): Promise<void> {
  await database.pool.query(
    `INSERT INTO node_trust (node_id, standing, node_version, trusted_until)
     SELECT id, 'passing', version, clock_timestamp() + $2 * interval '1 second' FROM node WHERE id = $1
     ON CONFLICT (node_id) DO UPDATE SET standing = 'passing', node_version = excluded.node_version, trusted_until = excluded.trusted_until`,
    [nodeId, seconds],
  );
}

/** A fail or ban, as the verifier records it. Answers the last certificate's number before it, under the lock. */
export async function endTrust(
  database: Database,
  nodeId: string,
  kind: 'failed' | 'banned',
): Promise<number> {
  const client = await database.pool.connect();
  try {
    await client.query('BEGIN');
    const epoch = await lockTrust(client, nodeId);
    await client.query(
      'UPDATE node_trust SET standing = $2, epoch = $3, trusted_until = NULL WHERE node_id = $1',
      [nodeId, kind, epoch + 1],
    );
    await client.query('INSERT INTO trust_event (node_id, kind, epoch) VALUES ($1, $2, $3)', [
      nodeId,
      kind,
      epoch + 1,
    ]);
    const { rows } = await client.query<{ seq: number }>(
      'SELECT coalesce(max(seq), 0)::int AS seq FROM certificate',
    );
    await client.query('COMMIT');
    return rows[0]?.seq ?? 0;
  } finally {
    client.release();
  }
}

async function lockTrust(client: pg.PoolClient, nodeId: string): Promise<number> {
  const { rows } = await client.query<{ epoch: number }>(
    'SELECT epoch FROM node_trust WHERE node_id = $1 FOR UPDATE',
    [nodeId],
  );
  const epoch = rows[0]?.epoch;
  if (epoch === undefined) throw new Error('the node has no trust row');
  return epoch;
}

/** A signer that writes down what it was asked to sign. */
export function fakeSigner(name: string): Signer & { readonly signed: unknown[] } {
  const signed: unknown[] = [];
  return {
    signed,
    certificate: Buffer.from(name),
    notAfter: new Date(8e15),
    sha256: sha256(name),
    async signNodeCa(request) {
      signed.push(request);
      return Buffer.from(`certificate ${Buffer.from(request.serial).toString('hex')}`);
    },
    async signCrl(request) {
      signed.push(request);
      return Buffer.from(`crl ${request.number}`);
    },
    async signResponder(request) {
      signed.push(request);
      return Buffer.from('responder');
    },
  };
}

/** An issuer without HTTP, with groups `web` (both modes, 10 minutes) and `tpm-only`. */
export function issuerOn(database: Database, signer: Signer = fakeSigner('web')): IssueDependencies {
  const groups = new Map([
    ['web', { ttlMs: 600_000, keyModes: ['tpm', 'delivered'] as const, fullTierCa: false }],
    ['tpm-only', { ttlMs: 600_000, keyModes: ['tpm'] as const, fullTierCa: false }],
  ]);
  return {
    store: issueStore(database),
    authorities: {
      roots: [],
      issuing: [],
      signers: new Map([...groups.keys()].map((name) => [name, signer])),
      signerNamed: () => signer,
      signerOf: () => signer,
      rootOf: () => Buffer.from('root'),
    },
    groups,
    trustDomain: 'example.org',
    nodesDomain: 'nodes.example.org',
    randomBytes,
  };
}

/** Asks for a nonce as the node would. */
export async function challenge(database: Database, nodeId: string, seconds = 60): Promise<Uint8Array> {
  const nonce = randomBytes(32);
  await challengeStore(database.db, seconds).open(nodeId, sha256(nonce));
  return nonce;
}

/** A request with a key that the node's TPM certifies over `nonce`. */
export function certified(
  { tpm }: Pick<TestNode, 'tpm'>,
  nonce: Uint8Array,
): Extract<IssueRequest, { mode: 'tpm' }> {
  const { publicArea } = tpm.createSigningKey();
  const { attest, signature } = tpm.certify(nonce, publicArea);
  return {
    mode: 'tpm',
    nonce: toBase64(nonce),
    publicArea: toBase64(marshalTpm2bPublic(publicArea)),
    attest: toBase64(attest),
    signature: toBase64(signature),
  };
}
