import { hash, randomBytes } from 'node:crypto';
import type { Finding } from '../../../core/finding.ts';
import { nodeIdOf, shardOf } from '../../../core/identity.ts';
import { spkiOf } from '../../../core/tpm/key.ts';
import type { PreviousContact } from '../../../platform/database/schema.ts';
import { createMetrics } from '../../../platform/metrics.ts';
import type { SoftwareTpm } from '../../../tpm-sim/fleet/software-tpm.ts';
import { attestOnce } from '../../../verifier/attest-once.ts';
import { startVerifier, type VerifierDependencies } from '../../../verifier/main.ts';
import { addPolicy, assignPolicy } from '../../../verifier/store/policies.ts';
import { fakeJobQueue } from '../../fakes/job-queue.ts';
import { FakeAgent, type FakeAgentOptions } from '../../fakes/keylime-agent.ts';
import { silent, type TestDatabase } from '../support/database.ts';
import { agentTls, verifierPki } from './pki.ts';

export interface TestNode {
  readonly id: string;
  readonly agent: FakeAgent;
}

/** A row of node_trust as tests look at it. */
export interface TrustRow {
  readonly epoch: number;
  readonly standing: string;
  readonly outcome: string | null;
  readonly rules: readonly string[];
  readonly state: string;
  readonly passes: string;
}

/** How long an answer of a verifier may take in a test. */
const ATTEST_MS = 15_000;

/** For tests that share a database. */
export async function emptyTables({ pool }: TestDatabase): Promise<void> {
  await pool.query(`TRUNCATE node, node_trust, trust_event, verdict, last_evidence, policy, policy_assignment,
    poll_shard, poll_owner`);
}

/** Verifiers, agents and nodes of one test file; `close` ends what was started. */
export class Lab {
  readonly database: TestDatabase;
  readonly pki = verifierPki();
  readonly #open: { close(): Promise<void> }[] = [];
  readonly queue = fakeJobQueue();

  constructor(database: TestDatabase) {
    this.database = database;
  }

  async close(): Promise<void> {
    for (const part of this.#open.reverse()) await part.close();
    this.#open.length = 0;
  }

  async verifier(
    changes: Partial<VerifierDependencies['config']> = {},
    more: Partial<VerifierDependencies> = {},
  ) {
    const { verifier, pem } = await this.pki;
    const started = await startVerifier({
      config: {
        listen: '127.0.0.1:0',
        url: 'https://verifier.test:8881',
        dial: ['127.0.0.0/8'],
        timeout: '2s',
        lease: '2s',
        ...changes,
      },
      database: this.database,
      queue: this.queue,
      logger: silent,
      metrics: createMetrics(false),
      tls: { ...verifier, clientCa: pem },
      randomBytes: (length) => randomBytes(length),
      ...more,
    });
    this.#open.push(started);
    return started;
  }

  async agent(options: Partial<FakeAgentOptions> = {}): Promise<FakeAgent> {
    const { pem } = await this.pki;
    const tls = options.tls ?? (await agentTls());
    const agent = await FakeAgent.start({ clientCa: pem, ...options, tls });
    this.#open.push(agent);
    return agent;
  }

  /** An agent and its record, admitted to the group `web`. */
  async node(agent?: FakeAgent, columns: Readonly<Record<string, unknown>> = {}): Promise<TestNode> {
    const running = agent ?? (await this.agent());
    const id = await this.record(running, columns);
    return { id, agent: running };
  }

  async record(agent: FakeAgent, columns: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const spki = spkiOf(agent.tpm.ek.publicArea);
    const id = nodeIdOf(spki);
    const row: Record<string, unknown> = {
      id,
      alias: `agent-${id.slice(0, 8)}`,
      ek_spki_sha256: hash('sha256', spki, 'buffer'),
      ek_public: agent.tpm.ekPublic,
      ak_public: agent.tpm.akPublic,
      ak_name: agent.tpm.akName,
      tls_certificate: agent.tls.der,
      tls_sha256: hash('sha256', agent.tls.der, 'buffer'),
      contact_host: '127.0.0.1',
      contact_port: agent.port,
      api_version: '2.6',
      admission: 'admitted',
      admission_reason: 'test',
      group_name: 'web',
      shard: shardOf(id),
      ...columns,
    };
    const names = Object.keys(row);
    const values = names.map((_, index) => `$${index + 1}`);
    await this.database.pool.query(
      `INSERT INTO node (${names.join(', ')}) VALUES (${values.join(', ')})`,
      Object.values(row),
    );
    return id;
  }

  /** What a completed re-enrolment leaves: the next version, at another contact. */
  async reEnrol(id: string, agent: FakeAgent, previous: PreviousContact | null): Promise<void> {
    await this.database.pool.query(
      `UPDATE node SET version = version + 1, ak_public = $2, ak_name = $3, tls_certificate = $4, tls_sha256 = $5,
         contact_port = $6, previous_contact = $7 WHERE id = $1`,
      [
        id,
        agent.tpm.akPublic,
        agent.tpm.akName,
        agent.tls.der,
        hash('sha256', agent.tls.der, 'buffer'),
        agent.port,
        previous === null ? null : JSON.stringify(previous),
      ],
    );
  }

  /** A policy for everything; each call is the next version of it. */
  async policy(
    changes: {
      reaction?: string;
      values?: Readonly<Record<number, string>>;
      trustFor?: string;
      interval?: string;
      recovery?: string;
    } = {},
  ) {
    const { reaction = 'ban', values = {}, trustFor = '1m', interval = '20s', recovery } = changes;
    const rules = Object.entries(values).map(([pcr, value]) => `    ${pcr}: { any-of: ['${value}'] }\n`);
    const document = `assay: policy/v1
name: test
freshness: { interval: ${interval}, trust-for: ${trustFor} }
reaction: ${reaction}
${recovery ? `recovery: ${recovery}\n` : ''}pcrs:
  bank: sha256
  require: 0-2
${rules.length > 0 ? `  values:\n${rules.join('')}` : ''}`;
    await this.database.transaction(async (tx) => {
      await addPolicy(tx, { name: 'test', document }, 'test');
      await assignPolicy(tx, { subject: 'default', policy: 'test' }, 'test');
    });
  }

  /** The verdict of a poll from now on. The scheduler may come first, and a ban ends polling: then its verdict. */
  async attest(id: string) {
    try {
      return await attestOnce(this.database, id, ATTEST_MS);
    } catch (error) {
      const { rows } = await this.database.pool.query<{ outcome: string; reasons: Finding[] }>(
        `SELECT v.outcome, v.reasons FROM verdict v JOIN node_trust t ON t.node_id = v.node_id
         WHERE v.node_id = $1 AND t.standing = 'banned' ORDER BY v.id DESC LIMIT 1`,
        [id],
      );
      const [banning] = rows;
      if (banning) return banning;
      throw error;
    }
  }

  async trust(id: string): Promise<TrustRow> {
    const { rows } = await this.database.pool.query<TrustRow>(
      `SELECT t.epoch, t.standing, t.outcome, s.state, t.passes,
         ARRAY(SELECT r->>'rule' FROM jsonb_array_elements(t.reasons) r) AS rules
       FROM node_trust t JOIN node_state s USING (node_id) WHERE t.node_id = $1`,
      [id],
    );
    const [row] = rows;
    if (!row) throw new Error(`node ${id} has no trust row`);
    return row;
  }

  /** For waiting: a node that was not judged yet has no row. */
  async isTrusted(id: string): Promise<boolean> {
    const { rows } = await this.database.pool.query(
      "SELECT 1 FROM node_state WHERE node_id = $1 AND state = 'trusted'",
      [id],
    );
    return rows.length > 0;
  }

  async events(id: string): Promise<string[]> {
    const { rows } = await this.database.pool.query<{ kind: string }>(
      'SELECT kind FROM trust_event WHERE node_id = $1 ORDER BY seq',
      [id],
    );
    return rows.map(({ kind }) => kind);
  }

  async verdicts(id: string) {
    const { rows } = await this.database.pool.query<{ outcome: string; evidence: { quote?: string } | null }>(
      'SELECT outcome, evidence FROM verdict WHERE node_id = $1 ORDER BY id',
      [id],
    );
    return rows;
  }
}

/** A contact as the registrar keeps it. */
export function contactOf({
  tls,
  port,
  tpm,
}: {
  tls: FakeAgent['tls'];
  port: number;
  tpm: SoftwareTpm;
}): PreviousContact {
  return {
    host: '127.0.0.1',
    port,
    tlsCertificate: Buffer.from(tls.der).toString('base64'),
    akPublic: Buffer.from(tpm.akPublic).toString('base64'),
  };
}
