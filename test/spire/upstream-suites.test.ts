// What SPIRE's own integration suites prove of x509pop and of bans, with node certificates of our profile: evict-agent,
// node-attestation (its step with x509pop) and node-re-attestation. An agent that renews its certificate and one that is
// evicted while the issuer wants it banned are in loop.test.ts.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { AGENT_PATH_TEMPLATE, agentPath } from '../../platform/spire/agent-path.ts';
import { type AttestTarget, attestX509pop } from '../../platform/spire/attest.ts';
import { EvasionNode, type EvasionPki } from '../../platform/spire/evasion-node.ts';
import { SpireServer } from '../../platform/spire/server.ts';
import { until } from '../e2e/support/until.ts';
import { nodePki, writeMaterial } from './support/node-pki.ts';
import { SpireAgentProcess, SpireServerProcess } from './support/spire.ts';

const TRUST_DOMAIN = 'upstream.test';
const ADMIN = `spiffe://${TRUST_DOMAIN}/admin`;
let scratch: string;
let spire: SpireServerProcess;
let target: AttestTarget;
let pki: EvasionPki;
const agents: SpireAgentProcess[] = [];

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'spire-'));
  const made = await nodePki(TRUST_DOMAIN);
  pki = made.pki;
  const options = { binaries: inject('spireBinaries'), directory: scratch, trustDomain: TRUST_DOMAIN };
  spire = await SpireServerProcess.start(options, made.anchor, AGENT_PATH_TEMPLATE, [ADMIN]);
  const bundle = await spire.command('bundle', 'show');
  target = { address: `127.0.0.1:${spire.port}`, trustDomain: TRUST_DOMAIN, bundle };
});
afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.close()));
  await spire?.close();
  await rm(scratch, { recursive: true, force: true });
});

async function startAgent(
  name: string,
  material: Parameters<typeof SpireAgentProcess.start>[2],
  keys?: 'disk',
): Promise<SpireAgentProcess> {
  const agent = await SpireAgentProcess.start(spire, join(scratch, name), material, keys);
  agents.push(agent);
  return agent;
}

const agentAt = async (path: string) => (await spire.agents()).find((agent) => agent.path === path);
const isThere = (path: string) =>
  until(`${path} has attested`, async () => (await agentAt(path)) !== undefined, 20_000);
const command = (act: 'ban' | 'evict', path: string) =>
  spire.command('agent', act, '-spiffeID', `spiffe://${TRUST_DOMAIN}${path}`);

test.concurrent('evict-agent: a banned agent ends and cannot start; evicted, it attests as before', async () => {
  const node = await EvasionNode.create(pki);
  const path = agentPath(node.id);
  const material = await writeMaterial(join(scratch, 'evict.pem'), await node.leaf());
  const agent = await startAgent('evict', material);
  await isThere(path);
  expect(await command('ban', path)).toContain('Agent banned successfully');
  expect(await agent.ended).toBe(1);
  expect(await agent.log()).toContain('Agent is banned: removing SVID and shutting down');

  const refused = await startAgent('evict', material);
  expect(await refused.ended).toBe(1);
  expect(await refused.log()).toContain('failed to attest: agent is banned');
  expect(await agentAt(path)).toMatchObject({ banned: true, serial: '' });

  expect(await command('evict', path)).toContain('Agent evicted successfully');
  const back = await startAgent('evict', material);
  await isThere(path);
  expect(await agentAt(path)).toMatchObject({ banned: false });
  expect(back.running).toBe(true);
});

test.concurrent('node-attestation, x509pop: attest, again, deleted, again, banned, refused, deleted, again', async () => {
  const node = await EvasionNode.create(pki);
  const at = await spire.addressFor(ADMIN);
  const admin = new SpireServer({ name: 'admin', trustDomain: TRUST_DOMAIN, at });
  const path = agentPath(node.id);
  const attest = async () => attestX509pop(target, await node.leaf());

  expect(await attest()).toMatchObject({ ok: true, path });
  expect(await attest()).toMatchObject({ ok: true, path });
  expect(await admin.forget(path)).toBe(true);
  expect(await admin.agent(path)).toBeUndefined();
  expect(await attest()).toMatchObject({ ok: true, path });
  expect(await admin.agent(path)).toMatchObject({ attestationType: 'x509pop', banned: false });
  expect(await admin.ban(path)).toBe(true);
  expect(await admin.agent(path)).toMatchObject({ banned: true, svidSerial: '' });
  expect(await attest()).toEqual({
    ok: false,
    code: 'PermissionDenied',
    message: 'failed to attest: agent is banned',
  });
  expect(await admin.forget(path)).toBe(true);
  expect(await attest()).toMatchObject({ ok: true, path });
});

test.concurrent('node-re-attestation: evicted while it runs, an agent with x509pop attests again', async () => {
  const node = await EvasionNode.create(pki);
  const path = agentPath(node.id);
  const material = await writeMaterial(join(scratch, 'again.pem'), await node.leaf());
  const agent = await startAgent('again', material);
  await isThere(path);
  const before = await agentAt(path);
  await command('evict', path);
  await isThere(path);
  expect((await agentAt(path))?.serial).not.toBe(before?.serial);
  expect(agent.running).toBe(true);
});

test.concurrent('node-re-attestation: an agent with a join token, which is used up, ends', async () => {
  const token = await spire.joinToken();
  const agent = await startAgent('token', { joinToken: token });
  const path = `/spire/agent/join_token/${token}`;
  await isThere(path);
  await command('evict', path);
  expect(await agent.ended).toBe(1);
  expect(await agentAt(path)).toBeUndefined();
});

test.concurrent('an agent that keeps its SVID on disk is no way around a ban that came while it was away', async () => {
  const node = await EvasionNode.create(pki);
  const path = agentPath(node.id);
  const material = await writeMaterial(join(scratch, 'kept.pem'), await node.leaf());
  const first = await startAgent('kept', material, 'disk');
  await isThere(path);
  const { serial } = (await agentAt(path)) ?? {};
  await first.close();
  const second = await startAgent('kept', material, 'disk');
  await until('it goes on', async () => (await second.log()).split('Starting agent APIs').length > 2, 20_000);
  expect(await agentAt(path), 'no attestation').toMatchObject({ serial });
  await second.close();

  await command('ban', path);
  const refused = await startAgent('kept', material, 'disk');
  expect(await refused.ended).toBe(1);
  expect(await refused.log()).toContain('Agent is banned: removing SVID and shutting down');
  const again = await startAgent('kept', material, 'disk');
  expect(await again.ended).toBe(1);
  expect(await again.log()).toContain('failed to attest: agent is banned');
});
