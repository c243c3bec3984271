import { randomUUID } from 'node:crypto';
import { createClient } from '@connectrpc/connect';
import { expect } from 'vitest';
import { agentPath } from '../../platform/spire/agent-path.ts';
import { spireTransport } from '../../platform/spire/connection.ts';
import { Agent } from '../../platform/spire/gen/spire/api/server/agent/v1/agent_pb.js';
import { SpireServer } from '../../platform/spire/server.ts';

/** A SPIRE server, real or not, and what else happens to it. */
export interface ContractSubject {
  readonly socket: string;
  readonly trustDomain: string;
  /** A node attests. Rejects with what its server said. */
  attest(nodeId: string): Promise<void>;
  /** Throws agents away that expired, as an operator may; all those of the contract count as expired. */
  purge(): Promise<void>;
  newNodeId(): Promise<string>;
}

interface Step {
  readonly name: string;
  readonly run: (subject: ContractSubject) => Promise<void>;
}

const serverOf = ({ socket, trustDomain }: ContractSubject) =>
  new SpireServer({ name: 'contract', trustDomain, at: { socket } });
const clientOf = ({ socket, trustDomain }: ContractSubject) =>
  createClient(Agent, spireTransport({ socket }, trustDomain)());

async function attested(
  subject: ContractSubject,
): Promise<{ readonly nodeId: string; readonly path: string }> {
  const nodeId = await subject.newNodeId();
  await subject.attest(nodeId);
  return { nodeId, path: agentPath(nodeId) };
}

async function banned(subject: ContractSubject) {
  const agent = await attested(subject);
  expect(await serverOf(subject).ban(agent.path)).toBe(true);
  return agent;
}

const refused = (said: string) => expect.objectContaining({ message: expect.stringContaining(said) });

/** What our services rely on, of spire-server 1.15.3: each step by itself, in any order. */
export const SPIRE_CONTRACT: readonly Step[] = [
  {
    name: 'an agent that never attested is not known, cannot be banned, and cannot be deleted',
    run: async (subject) => {
      const path = agentPath(randomUUID());
      const server = serverOf(subject);
      expect(await server.agent(path)).toBeUndefined();
      expect(await server.ban(path)).toBe(false);
      expect(await server.forget(path)).toBe(false);
      expect(await server.agent(path)).toBeUndefined();
    },
  },
  {
    name: 'one that attested is known',
    run: async (subject) => {
      const { path } = await attested(subject);
      const agent = await serverOf(subject).agent(path);
      expect(agent).toMatchObject({ path, attestationType: 'x509pop', banned: false });
      expect(agent?.svidSerial).toMatch(/^[1-9][0-9]*$/);
      expect(agent?.selectors).toContainEqual(expect.stringMatching(/^x509pop:ca:fingerprint:/));
    },
  },
  {
    name: 'attesting again changes its serial number, and nothing else',
    run: async (subject) => {
      const { nodeId, path } = await attested(subject);
      const before = await serverOf(subject).agent(path);
      await subject.attest(nodeId);
      const after = await serverOf(subject).agent(path);
      expect(after?.svidSerial).not.toBe(before?.svidSerial);
      expect(after).toMatchObject({ path, banned: false });
    },
  },
  {
    name: 'a ban takes the serial number and leaves the rest; a second ban changes nothing',
    run: async (subject) => {
      const { path } = await attested(subject);
      const server = serverOf(subject);
      const before = await server.agent(path);
      expect(await server.ban(path)).toBe(true);
      const after = await server.agent(path);
      expect(after).toEqual({ ...before, banned: true, svidSerial: '' });
      expect(await server.ban(path)).toBe(true);
      expect(await server.agent(path)).toEqual(after);
    },
  },
  {
    name: 'a banned agent cannot attest',
    run: async (subject) => {
      const { nodeId, path } = await banned(subject);
      await expect(subject.attest(nodeId)).rejects.toEqual(refused('failed to attest: agent is banned'));
      expect(await serverOf(subject).agent(path)).toMatchObject({ banned: true });
    },
  },
  {
    name: 'to delete it is to lift its ban',
    run: async (subject) => {
      const { nodeId, path } = await banned(subject);
      const server = serverOf(subject);
      expect(await server.forget(path)).toBe(true);
      expect(await server.agent(path)).toBeUndefined();
      await subject.attest(nodeId);
      expect(await server.agent(path)).toMatchObject({ path, banned: false });
    },
  },
  {
    name: 'a purge of expired agents lifts bans, too',
    run: async (subject) => {
      const { nodeId, path } = await banned(subject);
      await subject.purge();
      expect(await serverOf(subject).agent(path)).toBeUndefined();
      await subject.attest(nodeId);
      expect(await serverOf(subject).agent(path)).toMatchObject({ banned: false });
    },
  },
  {
    name: 'lists and counts can be narrowed to banned ones',
    run: async (subject) => {
      const [free, out] = [await attested(subject), await banned(subject)];
      const client = clientOf(subject);
      const filter = { byAttestationType: 'x509pop', byBanned: true };
      const paths = (await client.listAgents({ filter })).agents.map(({ id }) => id?.path);
      expect(paths).toContain(out.path);
      expect(paths).not.toContain(free.path);
      expect((await client.countAgents({ filter })).count).toBe(paths.length);
      const others = await client.listAgents({ filter: { ...filter, byBanned: false } });
      expect(others.agents.map(({ id }) => id?.path)).toContain(free.path);
      expect((await client.listAgents({ filter: { byAttestationType: 'join_token' } })).agents).toEqual([]);
      expect((await client.listAgents({ filter: { byCanReattest: false } })).agents).toEqual([]);
      const again = await client.listAgents({ filter: { byCanReattest: true } });
      expect(again.agents.map(({ id }) => id?.path)).toEqual(expect.arrayContaining([free.path, out.path]));
    },
  },
  {
    name: 'a list says of each agent what was asked for, and nothing else; an answer about one says all',
    run: async (subject) => {
      const { path } = await attested(subject);
      const client = clientOf(subject);
      const outputMask = { x509svidSerialNumber: true, x509svidExpiresAt: true };
      const listed = (await client.listAgents({ outputMask })).agents.find(({ id }) => id?.path === path);
      expect(listed).toMatchObject({ attestationType: '', selectors: [], canReattest: false });
      const ends = Number(listed?.x509svidExpiresAt) * 1000 - Date.now();
      expect(ends).toBeGreaterThan(30_000);
      expect(ends).toBeLessThan(120_000);
      const id = { trustDomain: subject.trustDomain, path };
      const { x509svidSerialNumber } = listed ?? {};
      const whole = { x509svidSerialNumber, attestationType: 'x509pop', canReattest: true, banned: false };
      expect(await client.getAgent({ id })).toMatchObject(whole);
      const own = (await serverOf(subject).agents()).find((agent) => agent.path === path);
      expect(own).toMatchObject({ svidSerial: x509svidSerialNumber, selectors: [], banned: false });
    },
  },
  {
    name: 'pages hold each agent once, and end',
    run: async (subject) => {
      const wanted = [await attested(subject), await attested(subject), await attested(subject)];
      const client = clientOf(subject);
      const found: string[] = [];
      let pageToken = '';
      do {
        const page = await client.listAgents({ pageSize: 2, pageToken });
        expect(page.agents.length).toBeLessThanOrEqual(2);
        found.push(...page.agents.map(({ id }) => id?.path ?? ''));
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      expect(new Set(found).size).toBe(found.length);
      expect(found).toEqual(expect.arrayContaining(wanted.map(({ path }) => path)));
      expect((await client.countAgents({})).count).toBe(found.length);
    },
  },
  {
    name: 'what is no agent of this trust domain is an error',
    run: async (subject) => {
      const server = serverOf(subject);
      for (const path of ['/workload', '/spire/server'])
        await expect(server.ban(path)).rejects.toEqual(refused('BanAgent: InvalidArgument'));
      const elsewhere = new SpireServer({
        name: 'x',
        trustDomain: 'other.test',
        at: { socket: subject.socket },
      });
      await expect(elsewhere.ban(agentPath(randomUUID()))).rejects.toEqual(refused('InvalidArgument'));
    },
  },
];
