import { X509Certificate } from 'node:crypto';
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { activate, listAuthorities, prepare, retire } from '../../cli/init/rotate.ts';
import { parsePemBundle, renderPem } from '../../core/x509/pem.ts';
import type { SwtpmNode } from '../e2e/support/node.ts';
import { until } from '../e2e/support/until.ts';
import { policyOf } from '../e2e/support/world.ts';
import { SpireLoop, TRUST_DOMAIN } from './support/loop.ts';

let loop: SpireLoop;
beforeAll(async () => {
  // What is kept of the old CAs must not end by time before it ends with them.
  loop = await SpireLoop.start({ anchor: 'root', policy: policyOf({ trustForMs: 900_000 }) });
});
afterAll(() => loop?.close());

const anchorNow = async () => (await loop.authorities()).root;

async function restartIssuer(): Promise<void> {
  await loop.world.process('issuer-1').stop();
  await loop.world.serve('issuer');
}

/** The certificates of node.pem, from the leaf up. */
async function chainOf(node: SwtpmNode): Promise<X509Certificate[]> {
  const pem = await readFile(node.material, 'utf8');
  const certificates = parsePemBundle(pem.slice(0, pem.indexOf('-----BEGIN PRIVATE KEY')));
  return certificates.map((der) => new X509Certificate(renderPem('CERTIFICATE', der)));
}

/** The agent attests anew with what its node has now; an evicted one does so at once. */
async function attestsAgain(path: string): Promise<void> {
  const agentOf = () => loop.agentOf(path);
  const before = (await agentOf())?.serial;
  await loop.spire.command('agent', 'evict', '-spiffeID', `spiffe://${TRUST_DOMAIN}${path}`);
  const attested = async () => {
    const serial = (await agentOf())?.serial;
    return serial !== undefined && serial !== before;
  };
  await until('the agent attested again', attested, 30_000);
}

async function renew(node: SwtpmNode): Promise<void> {
  await node.stop();
  await node.start();
  await node.events.until('material-written');
}

test('root and issuing CA are replaced without a gap, and a node keeps its id; what the old ones signed ends with them', async () => {
  const { directory } = loop.world.installation;
  const node = await loop.world.trustedNode('rotated');
  const path = `/spire/agent/x509pop/${node.id}`;
  const agent = await loop.startAgent('agent', node.material);
  await until(
    'SPIRE knows the agent',
    async () => (await loop.spire.agents()).some((one) => one.path === path),
    20_000,
  );
  const oldRoot = await anchorNow();
  const stolen = join(loop.scratch, 'old.pem');
  await copyFile(node.material, stolen);

  // Published, and not used: nothing changes for a node.
  await prepare({ directory, name: 'root', clock: () => new Date() });
  await prepare({ directory, name: 'web', clock: () => new Date() });
  await restartIssuer();
  const both = await anchorNow();
  expect(both.startsWith(oldRoot)).toBe(true);
  expect(parsePemBundle(both)).toHaveLength(2);
  await loop.spire.trust(both);
  await renew(node);
  expect((await chainOf(node)).at(-1)?.checkIssued(new X509Certificate(oldRoot))).toBe(true);
  await attestsAgain(path);

  await activate(directory, 'web');
  await activate(directory, 'root');
  await restartIssuer();
  const newRoot = (await anchorNow()).slice(0, -oldRoot.length);
  await renew(node);
  expect((await chainOf(node)).at(-1)?.verify(new X509Certificate(newRoot).publicKey)).toBe(true);
  await attestsAgain(path);
  // What the old CA signed can be revoked for as long as it is not retired.
  const url = loop.world.urlOf('issuer-1');
  expect(await loop.world.statusOf(url, '/crl/web.previous.crl')).toBe(200);
  const early = await loop.startAgent('early', stolen);
  await until(
    'old material is good still',
    async () => (await early.log()).includes('Node attestation was successful'),
    20_000,
  );
  await early.close();
  await attestsAgain(path);

  await expect(retire(directory, 'root')).rejects.toThrow(
    /issuing-web\.previous\.crt is signed by that root/,
  );
  await retire(directory, 'web');
  await retire(directory, 'root');
  await restartIssuer();
  expect(await anchorNow()).toBe(newRoot);
  await loop.spire.trust(newRoot);
  await attestsAgain(path);
  expect(agent.running).toBe(true);
  expect(await agent.log()).not.toContain('certificate verification failed');
  expect((await loop.spire.agents()).map((one) => one.path)).toEqual([path]);
  const late = await loop.startAgent('late', stolen);
  expect(await late.ended).toBe(1);
  expect(await late.log()).toContain('certificate signed by unknown authority');
  expect((await listAuthorities(directory)).map(({ name, state }) => `${name} ${state}`)).toEqual([
    'root current',
    'web current',
  ]);
});
