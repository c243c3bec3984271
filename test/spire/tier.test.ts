import { afterAll, beforeAll, expect, test } from 'vitest';
import type { NodeDetail } from '../../core/messages/node.ts';
import type { SwtpmNode } from '../e2e/support/node.ts';
import { CLEAN_ENTRIES, debianPolicy, storedSet, Twin } from '../e2e/support/twin.ts';
import { until } from '../e2e/support/until.ts';
import { policyOf } from '../e2e/support/world.ts';
import { SpireLoop, TRUST_DOMAIN } from './support/loop.ts';
import type { SpireAgentProcess } from './support/spire.ts';

const ALIAS = `spiffe://${TRUST_DOMAIN}/nodes/web/full`;
const FOR_FULL = `spiffe://${TRUST_DOMAIN}/for-full`;
const FOR_ALL = `spiffe://${TRUST_DOMAIN}/for-all`;
const selector = ['-selector', `unix:uid:${process.getuid?.() ?? 0}`];
let loop: SpireLoop;
beforeAll(async () => {
  const groups = ['web', 'web.full', 'db', 'db.full'];
  loop = await SpireLoop.start({ anchor: 'root', groups, policy: policyOf({ trustForMs: 120_000 }) });
});
afterAll(() => loop?.close());

/** A machine whose boot and files are judged. */
async function judgedNode(name: string, group: string): Promise<SwtpmNode> {
  const node = await loop.world.node(name);
  const twin = new Twin(node);
  await twin.boot('sb-clean-1');
  await twin.use('sb-unknown-binary', CLEAN_ENTRIES);
  await node.start({ token: await loop.world.token(group), logs: twin.logs });
  await node.events.until('material-written');
  return node;
}

/** It has an entry of its own, so that an agent that serves nothing is told from one that serves nothing to us. */
async function agentOn(node: SwtpmNode): Promise<SpireAgentProcess> {
  const agent = await loop.startAgent(`agent-${node.options.name}`, node.material);
  const path = `/spire/agent/x509pop/${node.id}`;
  await until('SPIRE knows the agent', async () => (await loop.agentOf(path)) !== undefined, 30_000);
  const entry = ['-spiffeID', FOR_ALL, '-parentID', `spiffe://${TRUST_DOMAIN}${path}`];
  await loop.spire.command('entry', 'create', ...entry, ...selector, '-x509SVIDTTL', '60');
  await until('its own workload is served', async () => (await idsOf(agent)).includes(FOR_ALL), 30_000);
  return agent;
}

const idsOf = (agent: SpireAgentProcess) => agent.spiffeIds(loop.spire);

const tierOf = async (node: SwtpmNode) =>
  (await loop.world.api.get<NodeDetail>('registrar', `/v1/nodes/${node.id}`)).tier;

test('an entry on the selector of a full-tier CA is for nodes of that tier and that group alone, while they are', async () => {
  const { world, spire } = loop;
  // Under registers alone: trusted, and partial.
  const partial = await world.trustedNode('partial');
  await world.setPolicy(policyOf({ trustForMs: 120_000 }), `node:${partial.id}`);
  await world.setPolicy(
    `${debianPolicy().replace('trust-for: 60s', 'trust-for: 120s')}ima: { allow: ['${await storedSet(world)}'] }\n`,
  );
  const full = await judgedNode('full', 'web');
  const elsewhere = await judgedNode('elsewhere', 'db');
  expect([await tierOf(full), await tierOf(elsewhere), await tierOf(partial)]).toEqual([
    ...['full', 'full', 'partial'],
  ]);

  const { authorities } = await loop.authorities();
  const { selector: ofTier = '' } = authorities.find(({ name }) => name === 'web.full') ?? {};
  await spire.command('entry', 'create', '-node', '-spiffeID', ALIAS, '-selector', ofTier);
  const entry = ['-spiffeID', FOR_FULL, '-parentID', ALIAS, ...selector, '-x509SVIDTTL', '60'];
  await spire.command('entry', 'create', ...entry);

  // What is served was synchronised after that entry was made.
  const agent = await agentOn(full);
  await until('it is served', async () => (await idsOf(agent)).includes(FOR_FULL), 30_000);
  for (const other of await Promise.all([partial, elsewhere].map(agentOn)))
    expect(await idsOf(other)).toEqual([FOR_ALL]);

  // Its boot is not judged any more: trusted still, and partial. The next certificate says so.
  await world.setPolicy(policyOf({ trustForMs: 120_000 }), `node:${full.id}`);
  await until('it leaves the tier', async () => (await tierOf(full)) === 'partial', 20_000);
  await full.stop();
  await full.start();
  await full.events.until('material-written');
  const path = `/spire/agent/x509pop/${full.id}`;
  await spire.command('agent', 'evict', '-spiffeID', `spiffe://${TRUST_DOMAIN}${path}`);
  await until('it is served as others are', async () => (await idsOf(agent)).join() === FOR_ALL, 60_000);
});
