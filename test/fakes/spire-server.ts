import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import { Code, ConnectError, type ConnectRouter, type ServiceImpl } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { Agent } from '../../platform/spire/gen/spire/api/server/agent/v1/agent_pb.js';
import { Entry } from '../../platform/spire/gen/spire/api/server/entry/v1/entry_pb.js';
import type { AgentMask } from '../../platform/spire/gen/spire/api/types/types_pb.js';

/** A row of SPIRE's table of agents. Banned means: without a serial number. */
interface AgentRow {
  readonly path: string;
  readonly type: string;
  serial: string;
  readonly expiresAt: Date;
  readonly selectors: readonly { readonly type: string; readonly value: string }[];
}

interface Filter {
  readonly byAttestationType: string;
  readonly byBanned?: boolean | undefined;
  readonly byCanReattest?: boolean | undefined;
}

const AGENT_TTL_MS = 60_000;
const DEFAULT_PAGE = 500;

/**
 * SPIRE's Agent API over a socket, in this process, with what spire-server 1.15 does to agents and bans; the steps in
 * spire-contract.ts hold for both. Attestation itself is not spoken: `attest` is what comes of one.
 */
export class FakeSpireServer {
  readonly socket: string;
  readonly trustDomain: string;
  readonly calls: string[] = [];
  readonly #rows = new Map<string, AgentRow>();
  readonly #sessions = new Set<ServerHttp2Session>();
  #server: Http2Server | undefined;
  #serial = 1n;

  constructor({ socket, trustDomain }: { readonly socket: string; readonly trustDomain: string }) {
    this.socket = socket;
    this.trustDomain = trustDomain;
  }

  /** Also after a stop: what it knows is kept. */
  async start(): Promise<this> {
    const server = createServer(
      connectNodeAdapter({ routes: (router) => this.#routes(router), connect: false }),
    );
    server.on('session', (session) => {
      this.#sessions.add(session);
      session.once('close', () => this.#sessions.delete(session));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(this.socket, resolve);
    });
    this.#server = server;
    return this;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const session of this.#sessions) session.destroy();
    await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
  }

  /** A node attests. @throws {ConnectError} as its server says */
  attest(path: string, type = 'x509pop'): void {
    this.attesting(path, type)();
  }

  /**
   * The same in its two halves: whether it is banned is looked up first, and the row is written when the SVID is made.
   * What happens between the two is overwritten.
   */
  attesting(path: string, type = 'x509pop'): () => void {
    if (this.#rows.get(path)?.serial === '')
      throw new ConnectError('failed to attest: agent is banned', Code.PermissionDenied);
    return () => {
      this.#serial += 1n;
      const expiresAt = new Date(Date.now() + AGENT_TTL_MS);
      const selectors = [{ type, value: 'ca:fingerprint:00' }];
      this.#rows.set(path, { path, type, serial: this.#serial.toString(), expiresAt, selectors });
    };
  }

  /** As over the wire. @returns whether there was something to be banned */
  ban(path: string): boolean {
    const row = this.#rows.get(path);
    if (row) row.serial = '';
    return row !== undefined;
  }

  /** `spire-server agent evict`. */
  evict(path: string): void {
    this.#rows.delete(path);
  }

  /** `spire-server agent purge`: whoever can attest again and has been expired for so long, banned or not. */
  purge(expiredForMs: number): void {
    for (const row of [...this.#rows.values()]) {
      if (canReattest(row) && row.expiresAt.getTime() + expiredForMs < Date.now())
        this.#rows.delete(row.path);
    }
  }

  /** An older copy of the database is put back: without this agent's ban. */
  restoreWithoutBan(path: string): void {
    const row = this.#rows.get(path);
    if (row) row.serial = '1';
  }

  isBanned(path: string): boolean | undefined {
    const row = this.#rows.get(path);
    return row && row.serial === '';
  }

  #routes(router: ConnectRouter): void {
    router.service(Agent, this.#agentService());
    router.service(Entry, { listEntries: () => ({ entries: [], nextPageToken: '' }) });
  }

  #agentService(): Partial<ServiceImpl<typeof Agent>> {
    return {
      banAgent: ({ id }) => {
        this.#row('BanAgent', id).serial = '';
        return {};
      },
      deleteAgent: ({ id }) => {
        this.#rows.delete(this.#row('DeleteAgent', id).path);
        return {};
      },
      getAgent: ({ id, outputMask }) => masked(this.#message(this.#row('GetAgent', id)), outputMask),
      countAgents: ({ filter }) => ({ count: this.#matching(filter).length }),
      listAgents: ({ filter, outputMask, pageSize, pageToken }) => {
        const all = this.#matching(filter).filter(({ path }) => path > pageToken);
        const page = all.slice(0, pageSize || DEFAULT_PAGE);
        const isLast = pageSize === 0 || page.length < pageSize;
        const nextPageToken = isLast ? '' : (page.at(-1)?.path ?? '');
        return { agents: page.map((row) => masked(this.#message(row), outputMask)), nextPageToken };
      },
    };
  }

  #row(call: string, id: { readonly trustDomain: string; readonly path: string } | undefined): AgentRow {
    this.calls.push(`${call} ${id?.path}`);
    if (id?.trustDomain !== this.trustDomain || !id.path.startsWith('/spire/agent/'))
      throw new ConnectError('invalid agent ID', Code.InvalidArgument);
    const row = this.#rows.get(id.path);
    if (row) return row;
    throw new ConnectError('agent not found', Code.NotFound);
  }

  #matching(filter: Filter | undefined): AgentRow[] {
    const { byAttestationType = '', byBanned, byCanReattest } = filter ?? {};
    return [...this.#rows.values()]
      .filter((row) => byAttestationType === '' || row.type === byAttestationType)
      .filter((row) => byBanned === undefined || (row.serial === '') === byBanned)
      .filter((row) => byCanReattest === undefined || canReattest(row) === byCanReattest)
      .sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  #message({ path, type, serial, expiresAt, selectors }: AgentRow) {
    return {
      id: { trustDomain: this.trustDomain, path },
      attestationType: type,
      x509svidSerialNumber: serial,
      x509svidExpiresAt: BigInt(Math.floor(expiresAt.getTime() / 1000)),
      selectors: [...selectors],
      banned: serial === '',
      canReattest: type === 'x509pop',
    };
  }
}

/** Without a mask all is told. */
function masked<T extends { id: unknown }>(message: T, mask: AgentMask | undefined): T | Partial<T> {
  if (!mask) return message;
  const told = new Set(Object.entries(mask).flatMap(([field, wanted]) => (wanted === true ? [field] : [])));
  return Object.fromEntries(
    Object.entries(message).filter(([field]) => field === 'id' || told.has(field)),
  ) as Partial<T>;
}

function canReattest({ type }: AgentRow): boolean {
  return type === 'x509pop';
}
