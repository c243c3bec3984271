import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type RunningAgent, startAgent } from '../../../agent/agent.ts';
import { type AgentConfig, loadConfig } from '../../../agent/config.ts';
import { EventRecorder } from '../../fakes/agent-events.ts';
import { AgentServices } from '../../fakes/agent-services.ts';
import { type LabTpm, TpmLab } from '../support/tpm-lab.ts';

let lab: TpmLab;
let services: AgentServices;
let folder: string;
let tpm: LabTpm;
let recorder: EventRecorder;
const agents: RunningAgent[] = [];

beforeAll(async () => {
  lab = await TpmLab.open(['sha256']);
});
afterAll(() => lab.close());
beforeEach(async () => {
  services = await AgentServices.start();
  folder = await mkdtemp(join(tmpdir(), 'agent-'));
  tpm = await lab.start();
  // The agent is the TPM's one client.
  await tpm.tpm.close();
  recorder = new EventRecorder();
});
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.close();
  await services.close();
  await lab.stopAll();
  await rm(folder, { recursive: true, force: true });
});

function configOf(
  changes: Partial<AgentConfig> = {},
  material: Partial<AgentConfig['material']> = {},
): AgentConfig {
  const config = loadConfig({
    file: undefined,
    flags: {
      registrar: services.url,
      ca: `sha256:${services.pki.serviceCa.pin}`,
      tpm: tpm.swtpm.address,
      alias: 'node-1',
      listen: '127.0.0.1:0',
      contact: '127.0.0.1:0',
      stateDir: join(folder, 'state'),
      materialDir: join(folder, 'run'),
    },
  });
  return { ...config, ...changes, material: { ...config.material, ...material } };
}

async function start(config: AgentConfig): Promise<RunningAgent> {
  const agent = await startAgent({ config, onEvent: recorder.onEvent });
  agents.push(agent);
  return agent;
}

async function stop(agent: RunningAgent): Promise<void> {
  agents.splice(agents.indexOf(agent), 1);
  await agent.close();
}

const nodePem = () => join(folder, 'run', 'node.pem');

test.each(['tpm', 'delivered'] as const)(
  'key: %s: from nothing to node material that chains',
  async (keyMode) => {
    const agent = await start(configOf({}, { keyMode, includeIssuingCa: true }));
    const written = await recorder.until('material-written');
    expect(recorder.events.map(({ step }) => step)).toEqual([
      ...['ek-checked', 'ak-ready', 'listening', 'challenged', 'activated'],
      ...['admitted', 'certificate', 'material-written'],
    ]);
    expect(recorder.of('certificate')).toMatchObject([
      { keyMode, subject: `CN=${agent.nodeId()}`, renewed: false },
    ]);
    const pem = await readFile(nodePem(), 'utf8');
    const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    const [leaf, nodeCa, issuing] = blocks.map((block) => new X509Certificate(block));
    if (!leaf || !nodeCa || !issuing) throw new Error('three certificates were expected');
    expect(leaf.checkPrivateKey(createPrivateKey(pem))).toBe(true);
    expect(leaf.verify(nodeCa.publicKey) && nodeCa.verify(issuing.publicKey)).toBe(true);
    expect(leaf.subjectAltName).toBe(`DNS:${agent.nodeId()}.nodes.example.org`);
    expect(written.path).toBe(nodePem());
    expect((await stat(nodePem())).mode & 0o777).toBe(0o600);
    expect(await readdir(join(folder, 'run'))).toEqual(['node.pem']);
  },
);

test('renews leaf and intermediate at half life, and SPIRE never misses the file', async () => {
  services.ttlMs = 12_000;
  await start(configOf({}, { leafTtlMs: 4_000 }));
  await recorder.until('material-written');
  const first = await readFile(nodePem(), 'utf8');
  let broken = 0;
  const reading = setInterval(() => {
    readFile(nodePem(), 'utf8').then(
      (pem) => {
        if (!pem.endsWith('-----END PRIVATE KEY-----\n')) broken += 1;
      },
      () => {
        broken += 1;
      },
    );
  }, 5);
  await recorder.until('certificate', 2);
  await recorder.until('material-written', 4);
  clearInterval(reading);
  expect(broken).toBe(0);
  expect(recorder.of('certificate').map(({ renewed }) => renewed)).toEqual([false, true]);
  expect(await readFile(nodePem(), 'utf8')).not.toBe(first);
  expect(recorder.of('destroyed')).toEqual([]);
});

test('revoke.destroy: a refusal because the node failed takes leaf, key and node CA key away', async () => {
  services.ttlMs = 8_000;
  await start(configOf());
  await recorder.until('material-written');
  expect(await readdir(join(folder, 'state'))).toContain('node-ca.json');
  services.refusal = { status: 403, code: 'not-trusted', rule: 'node.failed' };
  expect(await recorder.until('destroyed')).toMatchObject({ reason: 'refused' });
  expect(await readdir(join(folder, 'run'))).toEqual([]);
  expect(await readdir(join(folder, 'state'))).not.toContain('node-ca.json');
  services.refusal = undefined;
  expect(await recorder.until('material-written', 2), 'trusted again').toMatchObject({ renewed: false });
});

test('a stale node keeps what is valid, to its end and no longer', async () => {
  services.ttlMs = 6_000;
  await start(configOf());
  const { notAfter } = await recorder.until('material-written');
  services.refusal = { status: 403, code: 'not-trusted', rule: 'node.stale' };
  await recorder.until('not-trusted');
  expect(await readdir(join(folder, 'run'))).toEqual(['node.pem']);
  expect(await recorder.until('destroyed')).toMatchObject({ reason: 'expired' });
  expect(Date.now() - notAfter.getTime()).toBeLessThan(1_500);
});

test('a node that the services have forgotten enrols again', async () => {
  services.ttlMs = 5_000;
  await start(configOf());
  await recorder.until('material-written');
  services.known = false;
  expect(await recorder.until('activated', 2)).toMatchObject({ version: 2 });
  await recorder.until('certificate', 2);
});

test('waits for its admission, and asks for no certificate before', async () => {
  services.state = 'pending';
  await start(configOf());
  expect(await recorder.until('waiting')).toMatchObject({ admission: 'pending' });
  expect(services.requests.filter((path) => path.includes('challenge'))).toEqual([]);
  services.state = 'enrolled';
  await recorder.until('material-written');
});

test('a restart enrols nothing anew, keeps the material, and replaces it', async () => {
  const first = await start(configOf({ contact: { host: '127.0.0.1', port: 9 } }));
  await recorder.until('material-written');
  await stop(first);
  const kept = await readFile(nodePem(), 'utf8');
  recorder = new EventRecorder();
  const second = await start(configOf({ contact: { host: '127.0.0.1', port: 9 } }));
  await recorder.until('ak-ready');
  expect(second.nodeId()).toBe(first.nodeId());
  expect(recorder.of('ak-ready')).toMatchObject([{ created: false }]);
  await recorder.until('material-written');
  expect(services.enrolments).toHaveLength(1);
  expect(await readFile(nodePem(), 'utf8')).not.toBe(kept);
});

test('what an earlier run left is destroyed at its end, also when no server answers', async () => {
  services.ttlMs = 5_000;
  await stop(await started());
  await services.close();
  recorder = new EventRecorder();
  await start(configOf());
  expect(await recorder.until('destroyed')).toMatchObject({ reason: 'expired' });
  expect(await readdir(join(folder, 'run'))).toEqual([]);

  async function started(): Promise<RunningAgent> {
    const agent = await start(configOf());
    await recorder.until('material-written');
    return agent;
  }
});

test('a reset of the TPM in between changes nothing', async () => {
  services.ttlMs = 6_000;
  await start(configOf());
  await recorder.until('material-written');
  await tpm.swtpm.reset();
  await recorder.until('certificate', 2);
});

test('another contact address is enrolled', async () => {
  await stop(await start(configOf({ contact: { host: '127.0.0.1', port: 9 } })).then(untilMember));
  recorder = new EventRecorder();
  await start(configOf({ contact: { host: '127.0.0.1', port: 10 } })).then(untilMember);
  expect(services.enrolments.map(({ contact }) => contact.port)).toEqual([9, 10]);

  async function untilMember(agent: RunningAgent): Promise<RunningAgent> {
    await recorder.until('admitted');
    return agent;
  }
});

test('a service CA with another key is refused before anything is enrolled', async () => {
  await start(configOf({ ca: { type: 'pin', sha256: '0'.repeat(64) } }));
  expect(await recorder.until('trouble')).toMatchObject({ part: 'registrar', code: 'unauthenticated' });
  expect(services.enrolments).toEqual([]);
});

test('a certificate that departs from the profile is not used', async () => {
  services.tamper = (issued) => ({ ...issued, nodesDomain: 'evil.example.org' });
  await start(configOf());
  expect(await recorder.until('trouble')).toMatchObject({ part: 'issuer', code: 'malformed' });
  expect(await readdir(join(folder, 'run'))).toEqual([]);
});

test('a delivered key that was wrapped for another certificate does not open', async () => {
  services.tamper = (issued) => {
    if (issued.key === undefined) return issued;
    const tag = Buffer.from(issued.key.tag, 'base64');
    tag[0] = (tag[0] ?? 0) ^ 1;
    return { ...issued, key: { ...issued.key, tag: tag.toString('base64') } };
  };
  await start(configOf({}, { keyMode: 'delivered' }));
  expect(await recorder.until('trouble')).toMatchObject({ part: 'issuer', code: 'activation-failed' });
});
