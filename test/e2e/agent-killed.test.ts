import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import type { AgentStep } from '../../agent/events.ts';
import { IssueChallenge } from '../../core/messages/issue.ts';
import type { SwtpmNode } from './support/node.ts';
import type { ServiceProcess } from './support/service-process.ts';
import { until } from './support/until.ts';
import { TRUST_FOR_MS, useWorld } from './support/world.ts';

const world = useWorld();

interface LoggedEvent {
  readonly step?: AgentStep;
  readonly nodeId?: string;
  readonly created?: boolean;
}

/** `assay-agent run` in a process of its own, on a file as an operator writes it. */
async function runAgent(node: SwtpmNode, name: string): Promise<ServiceProcess> {
  const { directory, services, port } = node.options;
  const place = `127.0.0.1:${port}`;
  const token = join(directory, 'token');
  if (!existsSync(token)) await writeFile(token, await world().token(), { mode: 0o600 });
  const config = {
    ...{ registrar: services.registrar, 'ca-pin': services.pin, tpm: node.swtpm.address },
    ...{ alias: node.options.name, listen: place, contact: place, 'join-token-file': token },
    'state-directory': node.stateDirectory,
    material: { directory: join(directory, 'run') },
    logs: { boot: null, userspace: null, ima: null, 'ima-binary': null },
  };
  const file = join(directory, 'agent.yaml');
  await writeFile(file, stringify(config));
  return world().run(name, ['agent/main.ts', 'run', '--config', file]);
}

async function eventsOf(agent: ServiceProcess): Promise<LoggedEvent[]> {
  const lines = (await agent.text()).trimEnd().split('\n');
  return lines.filter((line) => line.startsWith('{')).map((line): LoggedEvent => JSON.parse(line));
}

async function untilEvent(agent: ServiceProcess, step: AgentStep): Promise<LoggedEvent> {
  const find = async () => (await eventsOf(agent)).find((event) => event.step === step);
  await until(`${agent.name}: ${step}`, async () => (await find()) !== undefined);
  return (await find()) ?? {};
}

async function leafOf(node: SwtpmNode): Promise<X509Certificate> {
  return new X509Certificate(await readFile(node.material, 'utf8'));
}

/** The answer to a node that asks with its TLS identity, as the agent would. */
async function askAsNode(node: SwtpmNode): Promise<unknown> {
  const issuer = await node.client('issuer');
  try {
    const { nonce } = await issuer.post('/v1/nodes/self/challenge', {}, IssueChallenge);
    return await issuer.post('/v1/nodes/self/certificate', { mode: 'delivered', nonce }, {});
  } finally {
    await issuer.close();
  }
}

test('trust.expires: a node whose agent was killed is stale and no failure, and comes back as itself', async () => {
  const node = await world().node('killed');
  const first = await runAgent(node, 'agent-1');
  const { nodeId = '' } = await untilEvent(first, 'material-written').then(() =>
    untilEvent(first, 'activated'),
  );
  const before = await world().detail(nodeId);
  expect(before).toMatchObject({ state: 'trusted', epoch: 0, version: 1 });
  await first.kill();
  const killedAt = Date.now();
  expect(existsSync(node.material), 'nobody was left to remove it').toBe(true);

  const isUnreachable = async () => (await world().detail(nodeId)).outcome === 'inconclusive';
  await until('the verifier cannot reach it', isUnreachable, 10_000);
  const silent = await world().detail(nodeId);
  expect(silent).toMatchObject({ state: 'trusted', reasons: [{ rule: 'node.unreachable' }] });

  const stale = await world().untilState(nodeId, 'stale', TRUST_FOR_MS + 5_000);
  expect(Date.now() - killedAt, 'no pass was counted after its end').toBeLessThan(TRUST_FOR_MS + 3_000);
  expect(stale).toMatchObject({ epoch: 0, version: 1, outcome: 'inconclusive' });
  expect(await world().ban(nodeId)).toBeUndefined();
  await expect(askAsNode(node)).rejects.toMatchObject({ details: [{ rule: 'node.stale' }] });
  const { rows } = await world().database.pool.query(
    "SELECT kind FROM trust_event WHERE node_id = $1 AND kind IN ('failed', 'banned')",
    [nodeId],
  );
  expect(rows).toEqual([]);

  const old = await world().certificates(nodeId);
  const trustedUntil = stale.trustedUntil ?? '';
  expect(old.filter(({ notAfter }) => notAfter > trustedUntil)).toEqual([]);
  expect(old.filter(({ revoked }) => revoked)).toEqual([]);
  const crl = await world().crl();
  expect(old.filter(({ serial }) => crl.has(serial))).toEqual([]);
  const leaf = await leafOf(node);
  expect(leaf.validToDate.getTime(), 'what it left behind is over').toBeLessThanOrEqual(Date.now());

  const second = await runAgent(node, 'agent-2');
  await world().untilState(nodeId, 'trusted');
  await untilEvent(second, 'material-written');
  const events = await eventsOf(second);
  expect(events.find(({ step }) => step === 'ak-ready')).toMatchObject({ created: false });
  expect(events.find(({ step }) => step === 'admitted')).toMatchObject({ nodeId });
  expect(
    events.filter(({ step }) => step === 'challenged'),
    'nothing was enrolled again',
  ).toEqual([]);
  const [newest, ...rest] = await world().certificates(nodeId);
  expect(rest).toEqual(old);
  expect(newest).toMatchObject({ revoked: false });
  const renewed = await leafOf(node);
  expect(renewed.serialNumber).not.toBe(leaf.serialNumber);
  expect(renewed.validToDate.getTime()).toBeGreaterThan(Date.now());
  expect(await world().detail(nodeId)).toMatchObject({ epoch: 0, version: 1, akName: before.akName });
  await second.stop();
});
