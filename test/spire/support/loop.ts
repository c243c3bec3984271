import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import type { ServeConfig } from '../../../cli/serve/config.ts';
import { World } from '../../e2e/support/world.ts';
import { SpireAgentProcess, SpireServerProcess } from './spire.ts';

export const TRUST_DOMAIN = 'e2e.test';

type SpireSettings = Omit<NonNullable<ServeConfig['issuer']['spire']>[number], 'name'>;

export interface SpireLoopOptions {
  /** What SPIRE trusts: the node root, or one group's issuing CAs. */
  readonly anchor: 'root' | { readonly group: string };
  /** Of the issuer, for this server. */
  readonly settings?: SpireSettings;
  /** Where its files are; it is removed in the end. Default: a new directory. */
  readonly scratch?: string;
  /** Of the server; default: one that is free. */
  readonly port?: number;
  /** SPIFFE IDs that are its administrators over TCP. */
  readonly admins?: readonly string[];
  readonly spiffe?: NonNullable<ServeConfig['spiffe']>;
  /** Of all nodes. */
  readonly policy?: string;
  /** Of the installation. */
  readonly groups?: readonly string[];
}

/** Our services with a spire-server that is set up as the snippet says, and spire-agents. */
export class SpireLoop {
  readonly scratch: string;
  readonly world: World;
  readonly spire: SpireServerProcess;
  readonly #agents: SpireAgentProcess[] = [];

  private constructor(scratch: string, world: World, spire: SpireServerProcess) {
    this.scratch = scratch;
    this.world = world;
    this.spire = spire;
  }

  static async start(options: SpireLoopOptions): Promise<SpireLoop> {
    const { anchor, policy, port, spiffe, groups: wanted, admins = [] } = options;
    const scratch = options.scratch ?? (await mkdtemp(join(tmpdir(), 'spire-')));
    const directory = join(scratch, 'server');
    const socket = join(directory, 'server.sock');
    const settings =
      options.settings?.address === undefined ? { socket, ...options.settings } : options.settings;
    const world = await World.start({
      spire: [{ name: 'test', ...settings }],
      ...(spiffe === undefined ? {} : { spiffe }),
      ...(policy === undefined ? {} : { policy }),
      ...(wanted === undefined ? {} : { groups: wanted }),
    });
    const query = anchor === 'root' ? {} : { group: anchor.group };
    const { server } = await world.api.get<{ server: string }>('issuer', '/v1/spire-snippet', query);
    const template = /agent_path_template = "(.*)"/.exec(server)?.[1] ?? '';
    const { root, groups } = await authoritiesOf(world);
    const trusted = anchor === 'root' ? root : (groups[anchor.group] ?? '');
    const place = { binaries: inject('spireBinaries'), directory, trustDomain: TRUST_DOMAIN };
    const spire = await SpireServerProcess.start(
      { ...place, ...(port === undefined ? {} : { port }) },
      trusted,
      template,
      admins,
    );
    return new SpireLoop(scratch, world, spire);
  }

  authorities(): Promise<Authorities> {
    return authoritiesOf(this.world);
  }

  async startAgent(
    name: string,
    material: string | { readonly joinToken: string },
  ): Promise<SpireAgentProcess> {
    const agent = await SpireAgentProcess.start(this.spire, join(this.scratch, name), material);
    this.#agents.push(agent);
    return agent;
  }

  async agentOf(path: string) {
    return (await this.spire.agents()).find((agent) => agent.path === path);
  }

  async close(): Promise<void> {
    for (const agent of this.#agents) await agent.close();
    await this.spire.close();
    await this.world.close();
    await rm(this.scratch, { recursive: true, force: true });
  }
}

interface Authorities {
  readonly root: string;
  readonly groups: Readonly<Record<string, string>>;
  readonly authorities: readonly { readonly name: string; readonly selector: string }[];
}

function authoritiesOf(world: World): Promise<Authorities> {
  return world.api.get<Authorities>('issuer', '/v1/authorities');
}
