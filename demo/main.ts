import { randomBytes, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import type { Api } from '../cli/api.ts';
import { renderNodes } from '../cli/commands/node.ts';
import { initialise } from '../cli/init/initialise.ts';
import { openApi } from '../cli/profile.ts';
import { SERVICE_NAMES } from '../cli/serve/names.ts';
import { startServices } from '../cli/serve/services.ts';
import type { BanRecord, CertificateRecord, NodeDetail, NodeSummary } from '../core/messages/node.ts';
import { parseCrl } from '../core/x509/crl.ts';
import { untilSignal } from '../platform/lifecycle.ts';
import { createLogger } from '../platform/logging.ts';
import { swtpmCaCertificates } from '../tpm-sim/swtpm/certificate-authority.ts';
import { DemoNode } from './node.ts';
import { useFreePorts } from './ports.ts';
import { eventually, Story } from './story.ts';

const TAMPERED_PCR = 7;
const ZERO = '00'.repeat(32);
const POLICY = `# Every node starts with untouched PCRs; here only the Secure Boot one is held against a value.
assay: policy/v1
name: demo
description: Fresh quotes every second; PCR ${TAMPERED_PCR} must be what a clean boot leaves.
freshness: { interval: 1s, trust-for: 60s }
reaction: ban
pcrs:
  bank: sha256
  require: 0-7
  values:
    ${TAMPERED_PCR}:
      why: Secure Boot state and its keys
      any-of: ['${ZERO}']
`;

const once = process.argv.includes('--once');
const story = new Story((line) => process.stdout.write(`${line}\n`));
const logger = createLogger({
  level: process.env.ASSAY_DEMO_LOG === undefined ? 'silent' : 'debug',
  name: 'demo',
});
const root = await mkdtemp(join(tmpdir(), 'assay-demo-'));
const closing: (() => Promise<void>)[] = [() => rm(root, { recursive: true, force: true })];

try {
  await tell();
} catch (error) {
  process.exitCode = 1;
  process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`);
} finally {
  for (const close of closing.reverse()) await close().catch(() => {});
}
process.stdout.write(`\n${story.passed} passed, ${story.failed} failed\n`);

async function tell(): Promise<void> {
  const { api, profile, pin, registrar, issuer, ca } = await startEverything();
  const manufacturer = join(root, 'manufacturer');
  const nodes = await makeNodes(manufacturer, registrar, pin);
  await trustManufacturer(api, manufacturer);
  const [first, second, third] = nodes;
  if (!first || !second || !third) throw new Error('three nodes were expected');
  await enrol(api, first, second, third);
  await passAndIssue(api, nodes);
  await tamper(api, second, issuer, ca);
  story.chapter(`Done in ${story.seconds} s`);
  const { nodes: rows } = await api.get<{ nodes: NodeSummary[] }>('registrar', '/v1/nodes');
  process.stdout.write(`${renderNodes(rows, new Date())}\n`);
  if (once) return;
  story.chapter('It stays up; in another terminal');
  story.tell(`export ASSAY_PROFILE=${profile}`);
  for (const line of [
    'node list',
    'node show demo-2',
    'node history demo-2',
    'cert list',
    'ban list',
    'audit list',
    'spire snippet',
  ]) {
    story.tell(`npx assay ${line}`);
  }
  story.tell('Ctrl-C ends everything and removes it.');
  await untilSignal(logger);
}

async function startEverything() {
  story.chapter('Services');
  const directory = join(root, 'assay');
  const made = await story.step(
    'assay init: service CA, node root, issuing CA, admin credential',
    () =>
      initialise({
        ...{ directory, trustDomain: 'demo.test', nodesDomain: 'nodes.demo.test', groups: ['demo'] },
        ...{ hosts: ['localhost', '127.0.0.1'], clock: () => new Date(), random: randomBytes },
      }),
    (summary) => summary.serviceCaPin,
  );
  await useFreePorts([made.config, made.clientProfile]);
  const services = await story.step('registrar, verifier and issuer on a PostgreSQL of their own', () =>
    startServices({ configFile: made.config, only: [...SERVICE_NAMES], logger, env: {} }),
  );
  closing.push(() => services.close());
  const api = await openApi(made.clientProfile);
  closing.push(() => api.close());
  await story.step('policy demo, for every node', async () => {
    await api.send('verifier', 'POST', '/v1/policies', { document: POLICY });
    await api.send('verifier', 'PUT', '/v1/assignments', { subject: 'default', policy: 'demo' });
  });
  const text = await readFile(made.clientProfile, 'utf8');
  const urlOf = (name: string) => new RegExp(`^${name}: '?(https:[^'\\n]+)`, 'm').exec(text)?.[1] ?? '';
  const ca = await readFile(made.serviceCa, 'utf8');
  const urls = { registrar: urlOf('registrar'), issuer: urlOf('issuer') };
  return { api, profile: made.clientProfile, pin: made.serviceCaPin, ca, ...urls };
}

async function makeNodes(manufacturer: string, registrar: string, pin: string): Promise<DemoNode[]> {
  story.chapter('Nodes');
  const nodes: DemoNode[] = [];
  for (const name of ['demo-1', 'demo-2', 'demo-3']) {
    const options = { name, directory: join(root, name), manufacturer, registrar, pin };
    const node = await story.step(`${name}: a TPM with an EK certificate of the demo manufacturer`, () =>
      DemoNode.make(options),
    );
    closing.push(() => node.close());
    nodes.push(node);
  }
  return nodes;
}

async function trustManufacturer(api: Api, manufacturer: string): Promise<void> {
  const { root: anchor, issuer } = await swtpmCaCertificates(manufacturer);
  await story.step('assay trust add: the demo manufacturer', () =>
    api.send('registrar', 'POST', '/v1/trust', { pem: `${anchor}${issuer}` }),
  );
}

async function enrol(api: Api, first: DemoNode, second: DemoNode, third: DemoNode): Promise<void> {
  story.chapter('Enrolment');
  await story.step('demo-1 is in the inventory by its EK', async () => {
    const ekSha256 = await first.ekSha256();
    const csv = `ek_sha256,certificate_serial,certificate_issuer,asset_name,group\n${ekSha256},,,rack-1-node-1,demo\n`;
    await api.sendText('registrar', '/v1/inventory', csv, 'text/csv');
  });
  const token = await api.send<{ token: string }>('registrar', 'POST', '/v1/tokens', {
    group: 'demo',
    ttl: '10m',
  });
  await first.start();
  await second.start(token.token);
  await third.start();
  for (const node of [first, second, third]) {
    await story.step(
      `${node.name}: EK chain checked, AK activated`,
      () => node.until('activated'),
      (event) => event.nodeId,
    );
  }
  await story.step(
    'demo-1 is admitted by the inventory',
    () => first.until('admitted'),
    (event) => event.admission,
  );
  await story.step(
    'demo-2 is admitted by its join token',
    () => second.until('admitted'),
    (event) => event.admission,
  );
  const { nodeId } = await story.step(
    'demo-3 waits for a person',
    () => third.until('waiting'),
    (event) => event.admission,
  );
  await story.step('assay node approve demo-3', () =>
    api.send('registrar', 'POST', `/v1/nodes/${nodeId}/approve`, { group: 'demo', reason: 'demo' }),
  );
}

async function passAndIssue(api: Api, nodes: readonly DemoNode[]): Promise<void> {
  story.chapter('Trust and certificates');
  for (const node of nodes) {
    await story.step(
      `${node.name}: first quote verified`,
      () => stateOf(api, node.name, 'trusted'),
      (detail) => `until ${detail.trustedUntil}`,
    );
  }
  for (const node of nodes) {
    await story.step(
      `${node.name}: intermediate issued`,
      () => node.until('certificate'),
      (event) => `${event.serial} by ${event.issuer}`,
    );
    const written = await story.step(
      `${node.name}: node.pem written`,
      () => node.until('material-written'),
      (event) => event.path,
    );
    story.tell(
      `    subject ${written.subject}, issuer ${written.issuer}, until ${written.notAfter.toISOString()}`,
    );
    await story.step(`${node.name}: leaf and intermediate chain`, () => checkMaterial(node));
  }
  await story.step(
    'demo-1 renews at half life',
    () => nodes[0]?.until('material-written', 2) ?? Promise.reject(),
  );
}

async function checkMaterial(node: DemoNode): Promise<void> {
  const pem = await readFile(node.material, 'utf8');
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const [leaf, intermediate] = blocks.map((block) => new X509Certificate(block));
  if (!leaf || !intermediate || !leaf.verify(intermediate.publicKey))
    throw new Error('the leaf is not signed by the intermediate');
}

async function crlHas(issuer: string, ca: string, serials: readonly string[]): Promise<boolean> {
  const dispatcher = new Agent({ connect: { ca } });
  try {
    const { body } = await request(`${issuer}/crl/demo.crl`, { dispatcher });
    const { revoked } = parseCrl(new Uint8Array(await body.arrayBuffer()));
    return serials.every((serial) => revoked.has(serial));
  } finally {
    await dispatcher.close();
  }
}

async function tamper(api: Api, node: DemoNode, issuer: string, ca: string): Promise<void> {
  story.chapter(`${node.name} is tampered with: PCR ${TAMPERED_PCR} is extended`);
  await node.tamper(TAMPERED_PCR, randomBytes(32));
  const detail = await story.step('the verdict is fail, and the node is banned', () =>
    stateOf(api, node.name, 'banned'),
  );
  const reason = detail.reasons.find(({ rule, pcr }) => rule === 'pcr.value' && pcr === TAMPERED_PCR);
  await story.step('the reason names the PCR', async () => {
    if (!reason) throw new Error(`the reasons are ${JSON.stringify(detail.reasons)}`);
  });
  story.tell(`    ${reason?.message}`);
  await story.step('the material is destroyed on the node', () =>
    eventually('destruction', async () => (existsSync(node.material) ? undefined : true)),
  );
  await story.step('the ban is recorded as wanted', () =>
    eventually('the ban', async () => {
      const { bans } = await api.get<{ bans: BanRecord[] }>('issuer', '/v1/bans');
      return bans.find((ban) => ban.nodeId === detail.id && ban.wanted);
    }),
  );
  const revoked = await story.step('its certificates are revoked', async () => {
    const { certificates } = await api.get<{ certificates: CertificateRecord[] }>(
      'issuer',
      '/v1/certificates',
      { node: detail.id },
    );
    if (certificates.length === 0 || certificates.some((one) => !one.revoked))
      throw new Error('one is not revoked');
    return certificates;
  });
  const serials = revoked.map(({ serial }) => serial);
  await story.step(
    'and stand on the CRL of the group',
    () => eventually('the CRL', async () => ((await crlHas(issuer, ca, serials)) ? true : undefined)),
    () => `${issuer}/crl/demo.crl`,
  );
}

function stateOf(api: Api, name: string, state: NodeDetail['state']): Promise<NodeDetail> {
  return eventually(`state ${state} of ${name}`, async () => {
    const node = await api.get<NodeDetail>('registrar', `/v1/nodes/${name}`);
    return node.state === state ? node : undefined;
  });
}
