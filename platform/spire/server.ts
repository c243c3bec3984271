import { Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import { AssayError } from '../../core/errors.ts';
import { type SpireAddress, spireTransport } from './connection.ts';
import { Agent } from './gen/spire/api/server/agent/v1/agent_pb.js';
import { Entry } from './gen/spire/api/server/entry/v1/entry_pb.js';
import type { Agent as AgentRow } from './gen/spire/api/types/types_pb.js';

/** What SPIRE knows of an agent. */
export interface SpireAgent {
  /** `/spire/agent/…` */
  readonly path: string;
  readonly attestationType: string;
  /** Decimal; empty while it is banned. */
  readonly svidSerial: string;
  readonly svidExpiresAt: Date;
  readonly banned: boolean;
  /** `type:value`. */
  readonly selectors: readonly string[];
}

/** A registration entry: what a workload on the agent gets. */
export interface SpireEntry {
  readonly id: string;
  readonly spiffeId: string;
  readonly selectors: readonly string[];
  /** Zero: the server's default. */
  readonly svidTtlSeconds: number;
}

export interface SpireServerOptions {
  /** For people. */
  readonly name: string;
  readonly trustDomain: string;
  readonly at: SpireAddress;
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;
const PAGE_SIZE = 500;
const X509POP = { byAttestationType: 'x509pop' };
const WITHOUT_SELECTORS = {
  ...{ attestationType: true, x509svidSerialNumber: true, x509svidExpiresAt: true, banned: true },
};

/** The part of SPIRE's server API that keeps bans true. Every call throws AssayError `unavailable` unless it is done. */
export class SpireServer {
  readonly name: string;
  readonly trustDomain: string;
  readonly #transport: () => Transport;
  readonly #timeoutMs: number;

  constructor({ name, trustDomain, at, timeoutMs = TIMEOUT_MS }: SpireServerOptions) {
    this.name = name;
    this.trustDomain = trustDomain;
    this.#transport = spireTransport(at, trustDomain);
    this.#timeoutMs = timeoutMs;
  }

  /** Gives the agent no SVIDs any more. @returns false when SPIRE does not know it: it has not attested, or was evicted */
  async ban(path: string): Promise<boolean> {
    const done = await this.#call('BanAgent', (client, options) =>
      client.banAgent({ id: this.#id(path) }, options),
    );
    return done !== undefined;
  }

  /** Forgets the agent and its ban, so that it may attest again. @returns false when SPIRE does not know it */
  async forget(path: string): Promise<boolean> {
    const done = await this.#call('DeleteAgent', (client, options) =>
      client.deleteAgent({ id: this.#id(path) }, options),
    );
    return done !== undefined;
  }

  /** @returns undefined when SPIRE does not know it */
  async agent(path: string): Promise<SpireAgent | undefined> {
    const row = await this.#call('GetAgent', (client, options) =>
      client.getAgent({ id: this.#id(path) }, options),
    );
    return row && agentOf(row);
  }

  /** All agents that attested by x509pop, with their SVIDs and without their selectors. */
  async agents(): Promise<readonly SpireAgent[]> {
    const agents: SpireAgent[] = [];
    let pageToken = '';
    do {
      const request = { filter: X509POP, outputMask: WITHOUT_SELECTORS, pageSize: PAGE_SIZE, pageToken };
      const page = await this.#call('ListAgents', (client, options) => client.listAgents(request, options));
      agents.push(...(page?.agents ?? []).map(agentOf));
      pageToken = page?.nextPageToken ?? '';
    } while (pageToken !== '');
    return agents;
  }

  /** What hangs on an agent. */
  async entries(path: string): Promise<readonly SpireEntry[]> {
    const client = createClient(Entry, this.#transport());
    const entries: SpireEntry[] = [];
    let pageToken = '';
    do {
      const request = { filter: { byParentId: this.#id(path) }, pageSize: PAGE_SIZE, pageToken };
      const page = await this.#attempt('ListEntries', () =>
        client.listEntries(request, { timeoutMs: this.#timeoutMs }),
      );
      for (const { id, spiffeId, selectors, x509SvidTtl } of page?.entries ?? []) {
        entries.push({
          id,
          spiffeId: `spiffe://${spiffeId?.trustDomain}${spiffeId?.path}`,
          selectors: selectors.map(({ type, value }) => `${type}:${value}`),
          svidTtlSeconds: x509SvidTtl,
        });
      }
      pageToken = page?.nextPageToken ?? '';
    } while (pageToken !== '');
    return entries;
  }

  #id(path: string) {
    return { trustDomain: this.trustDomain, path };
  }

  #call<T>(
    method: string,
    work: (
      client: ReturnType<typeof createClient<typeof Agent>>,
      options: { timeoutMs: number },
    ) => Promise<T>,
  ): Promise<T | undefined> {
    return this.#attempt(method, () =>
      work(createClient(Agent, this.#transport()), { timeoutMs: this.#timeoutMs }),
    );
  }

  async #attempt<T>(method: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const { code, rawMessage } = ConnectError.from(error);
      if (code === Code.NotFound) return undefined;
      const hint = code === Code.PermissionDenied ? `; ${MAY_NOT}` : '';
      const message = `SPIRE server ${this.name}, ${method}: ${Code[code]}: ${rawMessage}${hint}`;
      throw new AssayError('unavailable', message, { cause: error });
    }
  }
}

const MAY_NOT =
  "use the server's own socket, or let it know our SPIFFE ID (admin_ids, an admin entry, or the OPA policy in docs/spire.md)";

function agentOf(row: AgentRow): SpireAgent {
  return {
    path: row.id?.path ?? '',
    attestationType: row.attestationType,
    svidSerial: row.x509svidSerialNumber,
    svidExpiresAt: new Date(Number(row.x509svidExpiresAt) * 1000),
    banned: row.banned,
    selectors: row.selectors.map(({ type, value }) => `${type}:${value}`),
  };
}
