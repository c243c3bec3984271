import { X509Certificate } from 'node:crypto';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pcrExtend } from '../../agent/tpm/commands/pcr.ts';
import { Tpm } from '../../agent/tpm/tpm.ts';
import type { Exposure } from '../../core/messages/exposure.ts';
import { SpireServer } from '../../platform/spire/server.ts';
import type { SwtpmNode } from '../e2e/support/node.ts';
import { until } from '../e2e/support/until.ts';
import { SpireLoop, TRUST_DOMAIN } from './support/loop.ts';
import type { SpireAgentProcess } from './support/spire.ts';

const WORKLOAD = `spiffe://${TRUST_DOMAIN}/workload`;
const OF_GROUP = `spiffe://${TRUST_DOMAIN}/group-workload`;
let loop: SpireLoop;
beforeAll(async () => {
  loop = await SpireLoop.start({ anchor: { group: 'web' } });
});
afterAll(() => loop?.close());

const agentOf = (path: string) => loop.agentOf(path);
const saysSvid = (agent: SpireAgentProcess, into: string) =>
  agent.fetchSvid(loop.spire, join(loop.scratch, into)).then(
    (pem) => pem,
    () => undefined,
  );

async function tamper(node: SwtpmNode): Promise<void> {
  await node.stop();
  const tpm = await Tpm.open(node.swtpm.address);
  await tpm.use((channel) => pcrExtend(channel, 4, 'sha256', new Uint8Array(32).fill(1)));
  await tpm.close();
  await node.start();
}

test('leaf and node CA are renewed under an agent, which keeps its id over several attestations', async () => {
  const node = await loop.world.trustedNode('renewed');
  const path = `/spire/agent/x509pop/${node.id}`;
  const agent = await loop.startAgent('renewed', node.material);
  const server = new SpireServer({
    name: 'it',
    trustDomain: TRUST_DOMAIN,
    at: { socket: loop.spire.socket },
  });
  /** Of each attestation: the SVID it gave, and what SPIRE saw of the leaf and of the certificates above it. */
  const seen = new Map<string, readonly string[]>();
  const attested = async () => {
    const found = await server.agent(path);
    if (found) seen.set(found.svidSerial, found.selectors.toSorted());
    return seen.size === 3;
  };
  await until('the agent attested three times', attested, 150_000);
  const kinds = ['serialnumber:', 'ca:fingerprint:'].map((kind) =>
    [...seen.values()].map((selectors) => selectors.filter((one) => one.includes(kind)).join()),
  );
  for (const kind of kinds) expect(new Set(kind).size).toBe(3);
  expect((await loop.spire.agents()).map((one) => one.path)).toEqual([path]);
  expect(agent.running).toBe(true);
  await agent.close();
}, 200_000);

test('a node attests in SPIRE while it passes, is banned when it fails, and stays banned until a person says otherwise', async () => {
  // Its registers now are the ones that are good.
  const node = await loop.world.trustedNode('loop');
  const { document } = await loop.world.api.send<{ document: string }>(
    'verifier',
    'POST',
    '/v1/policies/draft',
    {
      ...{ node: node.id, name: 'e2e' },
    },
  );
  await loop.world.setPolicy(document.replace('interval: 30s', 'interval: 1s'));
  const { id } = node;
  const path = `/spire/agent/x509pop/${id}`;

  const agent = await loop.startAgent('agent', node.material);
  await until('SPIRE knows the agent', async () => (await agentOf(path)) !== undefined, 20_000);
  const first = await agentOf(path);
  expect(first).toMatchObject({ path, banned: false });

  const entry = ['-spiffeID', WORKLOAD, '-parentID', `spiffe://${TRUST_DOMAIN}${path}`];
  const selector = ['-selector', `unix:uid:${process.getuid?.() ?? 0}`];
  await loop.spire.command('entry', 'create', ...entry, ...selector, '-x509SVIDTTL', '60');
  // Of the group as a whole: it hangs on every node that the group's CA speaks for.
  const { groups } = await loop.world.api.get<{ groups: Record<string, string> }>(
    'issuer',
    '/v1/authorities',
  );
  const fingerprint = new X509Certificate(groups.web ?? '').fingerprint.replaceAll(':', '').toLowerCase();
  const alias = ['-node', '-spiffeID', `spiffe://${TRUST_DOMAIN}/nodes/web`];
  await loop.spire.command('entry', 'create', ...alias, '-selector', `x509pop:ca:fingerprint:${fingerprint}`);
  const ofGroup = ['-spiffeID', OF_GROUP, '-parentID', `spiffe://${TRUST_DOMAIN}/nodes/web`];
  await loop.spire.command('entry', 'create', ...ofGroup, '-selector', 'unix:uid:4242');
  await until('a workload has its SVID', async () => (await saysSvid(agent, 'svid')) !== undefined, 30_000);
  const svid = new X509Certificate((await saysSvid(agent, 'svid')) ?? '');
  expect(svid.subjectAltName).toBe(`URI:${WORKLOAD}`);

  // Each of its own SVIDs is a new attestation, with whatever certificate the node has then.
  const again = async () => (await agentOf(path))?.serial !== first?.serial;
  await until('the agent attested again', again, 90_000);
  expect((await loop.spire.agents()).filter((one) => one.path === path)).toHaveLength(1);
  expect(await agent.log()).toContain('Successfully reattested node');

  const stolen = join(loop.scratch, 'stolen.pem');
  await copyFile(node.material, stolen);
  await tamper(node);
  await loop.world.untilState(id, 'banned');
  await until('the agent is banned in SPIRE', async () => (await agentOf(path))?.banned === true, 5_000);
  await until(
    'the ban is reached',
    async () => (await loop.world.ban(id))?.places[0]?.appliedAt != null,
    5_000,
  );
  const exposure = await loop.world.api.get<Exposure>('issuer', `/v1/nodes/${id}/exposure`);
  const [exposed] = exposure.spire;
  expect(exposure).toMatchObject({
    certificateExpiresAt: expect.any(String),
    spire: [
      {
        ...{ server: 'test', agentId: `spiffe://${TRUST_DOMAIN}${path}`, error: null },
        agent: { banned: true, svidExpiresAt: expect.any(String) },
        bannedSince: expect.any(String),
      },
    ],
  });
  // Below the agent itself, and below the group's alias, with the lifetime that the configuration says is the default.
  expect(exposed?.entries).toHaveLength(2);
  expect(exposed?.entries).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ spiffeId: WORKLOAD, svidTtlSeconds: 60 }),
      expect.objectContaining({ spiffeId: OF_GROUP, svidTtlSeconds: 3600 }),
    ]),
  );
  expect(exposed?.agentSvidEnds).toBe(exposed?.agent?.svidExpiresAt);
  expect(Date.parse(exposed?.workloadSvidsEnd ?? '')).toBe(
    Date.parse(exposed?.bannedSince ?? '') + 3_600_000,
  );
  expect(exposure.ends).toBe(exposed?.workloadSvidsEnd);
  expect(await agent.ended).toBe(1);
  expect(await agent.log()).toContain('Agent is banned');
  expect(await saysSvid(agent, 'after')).toBeUndefined();

  const back = await loop.startAgent('stolen', stolen);
  expect(await back.ended).toBe(1);
  expect(await back.log()).toContain('agent is banned');

  // Whoever lifts the ban in SPIRE alone lifts it for moments: the wish is ours.
  await loop.spire.command('agent', 'evict', '-spiffeID', `spiffe://${TRUST_DOMAIN}${path}`);
  const evicted = await loop.startAgent('evicted', stolen);
  await until('it is banned again', async () => (await agentOf(path))?.banned === true, 30_000);
  expect(await evicted.ended).toBe(1);

  await node.stop();
  await node.swtpm.reset();
  await loop.world.api.send('verifier', 'POST', `/v1/nodes/${id}/unban`, { reason: 'cleaned' });
  await node.start();
  await node.events.until('material-written');
  await until('SPIRE forgot the ban', async () => (await agentOf(path)) === undefined, 10_000);
  const recovered = await loop.startAgent('recovered', node.material);
  await until('it attests as before', async () => (await agentOf(path))?.banned === false, 20_000);
  await until(
    'its workload is served',
    async () => (await saysSvid(recovered, 'again')) !== undefined,
    30_000,
  );
});

test('a ban of a node that never attested in SPIRE waits, and is there as soon as it does', async () => {
  const node = await loop.world.trustedNode('late');
  const path = `/spire/agent/x509pop/${node.id}`;
  const stolen = join(loop.scratch, 'late.pem');
  await copyFile(node.material, stolen);
  await loop.world.api.send('verifier', 'POST', `/v1/nodes/${node.id}/ban`, { reason: 'stolen' });
  await until(
    'the ban waits',
    async () => (await loop.world.ban(node.id))?.places[0]?.lastError?.includes('has not attested') === true,
    10_000,
  );
  const agent = await loop.startAgent('late', stolen);
  await until('it is banned', async () => (await agentOf(path))?.banned === true, 20_000);
  expect(await agent.ended).toBe(1);
  await until(
    'the ban is reached',
    async () => (await loop.world.ban(node.id))?.places[0]?.appliedAt != null,
    10_000,
  );
});
