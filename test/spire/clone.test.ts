import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { Exposure } from '../../core/messages/exposure.ts';
import { until } from '../e2e/support/until.ts';
import { World } from '../e2e/support/world.ts';
import { SpireAgentProcess, SpireServerProcess } from './support/spire.ts';

const TRUST_DOMAIN = 'e2e.test';
let scratch: string;
let world: World;
let spire: SpireServerProcess;
const agents: SpireAgentProcess[] = [];

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'spire-'));
  const directory = join(scratch, 'server');
  const socket = join(directory, 'server.sock');
  world = await World.start({ spire: [{ name: 'test', socket, watch: '1s', clones: 'ban' }] });
  const { groups } = await world.api.get<{ groups: Record<string, string> }>('issuer', '/v1/authorities');
  const { server } = await world.api.get<{ server: string }>('issuer', '/v1/spire-snippet', { group: 'web' });
  const template = /agent_path_template = "(.*)"/.exec(server)?.[1] ?? '';
  const options = { binaries: inject('spireBinaries'), directory, trustDomain: TRUST_DOMAIN };
  spire = await SpireServerProcess.start(options, groups.web ?? '', template);
});
afterAll(async () => {
  for (const agent of agents) await agent.close();
  await spire?.close();
  await world?.close();
  await rm(scratch, { recursive: true, force: true });
});

async function startAgent(name: string, material: string): Promise<void> {
  agents.push(await SpireAgentProcess.start(spire, join(scratch, name), material));
}

test('id.clone: material that is used on two machines bans its node, and leaves others alone', async () => {
  const [node, honest] = [await world.trustedNode('robbed'), await world.trustedNode('honest')];
  const stolen = join(scratch, 'stolen.pem');
  await copyFile(node.material, stolen);
  await startAgent('honest', honest.material);
  await startAgent('robbed', node.material);
  await until('both attested', async () => (await spire.agents()).length === 2, 20_000);
  await startAgent('thief', stolen);
  await world.untilState(node.id, 'banned', 120_000);
  const detail = await world.api.get<{ note: string; changedBy: string }>(
    'registrar',
    `/v1/nodes/${node.id}`,
  );
  expect(detail).toMatchObject({ changedBy: 'issuer', note: expect.stringContaining('two places') });
  const { spire: places } = await world.api.get<Exposure>('issuer', `/v1/nodes/${node.id}/exposure`);
  expect(places[0]?.clone?.message).toContain('SPIRE server test gave this agent');
  expect((await world.api.get<{ state: string }>('registrar', `/v1/nodes/${honest.id}`)).state).toBe(
    'trusted',
  );
  expect(await Promise.all(agents.slice(1).map((agent) => agent.ended))).toEqual([1, 1]);
  expect(agents[0]?.running).toBe(true);
}, 180_000);
