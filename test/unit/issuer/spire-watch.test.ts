import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EARLY_SVIDS } from '../../../issuer/domain/sightings.ts';
import { type SuspectedClone, spireWatch } from '../../../issuer/spire/watch.ts';
import { createLogger } from '../../../platform/logging.ts';
import { agentPath, nodeOfAgent } from '../../../platform/spire/agent-path.ts';
import { SpireServer } from '../../../platform/spire/server.ts';
import { FakeSpireServer } from '../../fakes/spire-server.ts';

const trustDomain = 'watch.test';
const logger = createLogger({ level: 'silent', name: 'test' });
let scratch: string;
let spire: FakeSpireServer;
let time: number;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'watch-'));
  spire = await new FakeSpireServer({ socket: join(scratch, 's'), trustDomain }).start();
  time = Date.now();
});
afterEach(async () => {
  await spire.stop();
  await rm(scratch, { recursive: true, force: true });
});

function watching(clones: 'report' | 'ban') {
  const server = new SpireServer({ name: 'east', trustDomain, at: { socket: spire.socket } });
  const lifetimes = { workloadSeconds: 3600, agentSeconds: 3600 };
  const found: SuspectedClone[] = [];
  const look = spireWatch({
    place: { server, lifetimes, clones, groups: undefined, watchMs: 1000 },
    now: () => time,
    onClone: async (clone) => void found.push(clone),
    logger,
  });
  return { look, found };
}

test.each([
  ['report', false],
  ['ban', true],
] as const)(
  'id.clone: an agent whose SVIDs alternate is found, once, and with %s',
  async (clones, endsTrust) => {
    const { look, found } = watching(clones);
    const [nodeId, honest] = [randomUUID(), randomUUID()];
    spire.attest(agentPath(honest));
    for (let round = 0; round < EARLY_SVIDS + 2; round += 1) {
      spire.attest(agentPath(nodeId));
      await look();
      time += 1000;
    }
    expect(found).toEqual([
      { nodeId, place: 'east', endsTrust, message: expect.stringContaining('two places') },
    ]);
  },
);

test('all pages of agents are looked at, and only those that are nodes', async () => {
  const { look, found } = watching('report');
  const nodes = Array.from({ length: 510 }, () => randomUUID());
  for (let round = 0; round < EARLY_SVIDS + 1; round += 1) {
    for (const one of nodes) spire.attest(agentPath(one));
    spire.attest('/spire/agent/x509pop/somebody');
    spire.attest('/spire/agent/join_token/x', 'join_token');
    await look();
    time += 1000;
  }
  // The first one seen of an agent may be of any age, so the next one is not counted.
  expect(found).toEqual([]);
  for (const one of nodes) spire.attest(agentPath(one));
  await look();
  expect(found.map(({ nodeId }) => nodeId).sort()).toEqual(nodes.sort());
});

test('a path that is no node of ours names none', () => {
  const id = randomUUID();
  expect(nodeOfAgent(agentPath(id))).toBe(id);
  for (const path of [`/spire/agent/x509pop/${id}/x`, `/spire/agent/join_token/${id}`, `/x509pop/${id}`, ''])
    expect(nodeOfAgent(path)).toBeUndefined();
});
