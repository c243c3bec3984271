import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { openApi } from '../../cli/profile.ts';
import { SERVICE_NAMES } from '../../cli/serve/names.ts';
import { freePort } from '../../demo/ports.ts';
import { until } from '../e2e/support/until.ts';
import { SpireLoop, TRUST_DOMAIN } from './support/loop.ts';
import type { SpireAgentProcess } from './support/spire.ts';

const SERVICES = `spiffe://${TRUST_DOMAIN}/assay`;
const ADA = `spiffe://${TRUST_DOMAIN}/ops/ada`;
const NOBODY = `spiffe://${TRUST_DOMAIN}/nobody`;
/** Renewed at half of it. */
const SVID_TTL = '20';
const HOST = `spiffe://${TRUST_DOMAIN}/host`;

let loop: SpireLoop;
let host: SpireAgentProcess;
let endpoint: string;
let urls: Readonly<Record<(typeof SERVICE_NAMES)[number], string>>;

// The services start before there is any SPIRE: who depends on whom must not matter.
beforeAll(async () => {
  const scratch = await mkdtemp(join(tmpdir(), 'spire-'));
  endpoint = `unix://${join(scratch, 'host', 'api.sock')}`;
  const [port, registrar, verifier, issuer] = await Promise.all([
    freePort(),
    freePort(),
    freePort(),
    freePort(),
  ]);
  const ports = { registrar, verifier, issuer };
  const places = SERVICE_NAMES.map((name) => [name, `127.0.0.1:${ports[name]}`] as const);
  urls = Object.fromEntries(places.map(([name, at]) => [name, `https://${at}`])) as typeof urls;
  const svid = { 'workload-api': endpoint, id: SERVICES };
  loop = await SpireLoop.start({
    ...{ anchor: 'root', scratch, port, admins: [SERVICES] },
    settings: { address: `127.0.0.1:${port}`, svid },
    spiffe: { svid, listen: Object.fromEntries(places), admins: [`spiffe://${TRUST_DOMAIN}/ops/*`] },
  });
  await startHost();
  for (const id of [SERVICES, ADA, NOBODY]) {
    const entry = ['-spiffeID', id, '-parentID', HOST];
    const selector = ['-selector', `unix:uid:${process.getuid?.() ?? 0}`];
    await loop.spire.command('entry', 'create', ...entry, ...selector, '-x509SVIDTTL', SVID_TTL);
  }
});
afterAll(() => loop?.close());

/** The agent of the machine that the services run on: it does not depend on them. */
async function startHost(): Promise<void> {
  host = await loop.startAgent('host', { joinToken: await loop.spire.joinToken(HOST) });
}

async function apiAs(id: string, serverId = SERVICES) {
  const file = join(loop.scratch, `${id.replaceAll(/[^a-z]/g, '-')}.yaml`);
  const svid = { 'workload-api': endpoint, id };
  await writeFile(file, stringify({ ...urls, svid, 'server-id': serverId }));
  return openApi(file);
}

describe('with SVIDs of a real spire-agent at both ends', () => {
  test('an administrator reaches every service, and is audited by their SPIFFE ID', async () => {
    const api = await apiAs(ADA);
    // Each asks for its SVID by itself, and waits longer from time to time.
    const reached = () =>
      Promise.all([
        api.get('verifier', '/v1/policies'),
        api.get('issuer', '/v1/authorities'),
        api.get('registrar', '/v1/audit'),
      ]).then(
        () => true,
        () => false,
      );
    await until('the services have their SVID', reached, 60_000);
    expect(await api.get('issuer', '/v1/authorities')).toHaveProperty('root');
    await api.send('registrar', 'POST', '/v1/tokens', { group: 'web', ttl: '1m' });
    const { entries } = await api.get<{ entries: { actor: string }[] }>('registrar', '/v1/audit');
    expect(entries.map(({ actor }) => actor)).toContain(`admin:${ADA}`);
    await api.close();
  });

  test('api.svid: an SVID without a role gets nowhere', async () => {
    const api = await apiAs(NOBODY);
    await expect(api.get('verifier', '/v1/policies')).rejects.toMatchObject({ code: 'unauthenticated' });
    await api.close();
  });

  test('services with another SPIFFE ID than the profile says are not spoken to', async () => {
    const api = await apiAs(ADA, `spiffe://${TRUST_DOMAIN}/other`);
    await expect(api.get('verifier', '/v1/policies')).rejects.toThrow(/shows spiffe:\/\/e2e\.test\/assay/);
    await api.close();
  });
});

test('a node that fails is banned over TCP, by an SVID from the Workload API', async () => {
  const node = await loop.world.trustedNode('banned');
  const path = `/spire/agent/x509pop/${node.id}`;
  await loop.startAgent('node', node.material);
  await until('SPIRE knows the agent', async () => (await loop.agentOf(path)) !== undefined, 30_000);
  await loop.world.api.send('verifier', 'POST', `/v1/nodes/${node.id}/ban`, { reason: 'a test' });
  await until('the agent is banned', async () => (await loop.agentOf(path))?.banned === true, 20_000);
});

test('SVIDs are renewed on open services, also after the agent was away', async () => {
  const renewed = async (before: string | undefined) => {
    const now = await serialAt(urls.verifier);
    return now !== undefined && now !== before;
  };
  const first = await serialAt(urls.verifier);
  await until('another SVID', () => renewed(first), 40_000);
  await host.close();
  const last = await serialAt(urls.verifier);
  await startHost();
  await until('an SVID of the agent that came back', () => renewed(last), 90_000);
});

/** Of the certificate that is shown there. */
async function serialAt(url: string): Promise<string | undefined> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.once('error', () => resolve(undefined));
  });
}
