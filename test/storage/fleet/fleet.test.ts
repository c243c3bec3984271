import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BanRecord, CertificateRecord, NodeDetail } from '../../../core/messages/node.ts';
import { runCommand } from '../../../tpm-sim/fleet/commands.ts';
import { Fleet } from '../../../tpm-sim/fleet/fleet.ts';
import type { FleetNode } from '../../../tpm-sim/fleet/node.ts';
import { useDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { startInstallation } from './installation.ts';

const SIZE = 12;
const POLICY = `assay: policy/v1
name: fleet
freshness: { interval: 1s, trust-for: 60s }
reaction: ban
pcrs:
  bank: sha256
  require: 0-7
  values:
    7: { any-of: ['${'00'.repeat(32)}'] }
`;

const database = useDatabase();
let installation: Awaited<ReturnType<typeof startInstallation>>;
let fleet: Fleet;

beforeAll(async () => {
  installation = await startInstallation(database());
  const { api, services } = installation;
  await api.send('verifier', 'POST', '/v1/policies', { document: POLICY });
  await api.send('verifier', 'PUT', '/v1/assignments', { subject: 'default', policy: 'fleet' });
  fleet = await Fleet.start({ services, size: SIZE, network: 20 });
  await api.send('registrar', 'POST', '/v1/trust', { pem: fleet.manufacturer.root });
  await api.sendText('registrar', '/v1/inventory', fleet.inventory('web'), 'text/csv');
});

afterAll(async () => {
  await fleet.close();
  await installation.close();
});

test('all nodes enrol by the inventory and pass', async () => {
  expect(await runCommand(fleet, 'enrol')).toMatchObject({ outcomes: { ok: SIZE } });
  for (const node of fleet.nodes) await reaches(node, 'trusted');
});

test('each gets a certificate in both key modes', async () => {
  expect(await runCommand(fleet, 'certificates tpm')).toMatchObject({ outcomes: { ok: SIZE } });
  expect(await runCommand(fleet, 'certificates delivered')).toMatchObject({ outcomes: { ok: SIZE } });
});

test('a reboot is seen, and trust goes on', async () => {
  const node = nodeAt(0);
  await runCommand(fleet, 'reboot 1');
  await until('the reboot is seen', async () => {
    const { rows } = await database().pool.query(
      "SELECT 1 FROM trust_event WHERE node_id = $1 AND kind = 'rebooted'",
      [node.nodeId],
    );
    return rows.length > 0;
  });
  expect((await detailOf(node)).state).toBe('trusted');
});

const attacks: readonly (readonly [command: string, number: number, rule: string, code: string])[] = [
  ['tamper 2', 2, 'pcr.value', 'not-trusted'],
  ['behave 3 replay', 3, 'quote.nonce', 'not-trusted'],
  ['behave 4 other-pcrs', 4, 'quote.selection', 'not-trusted'],
  // The copy registered its own TLS certificate: the issuer no longer knows that of the original.
  ['clone 5', 5, 'id.clone', 'unauthenticated'],
];

test.each(attacks)(
  '%s of node %i ends in a ban by %s, and nobody else is touched',
  async (command, number, rule, code) => {
    const node = nodeAt(number - 1);
    await runCommand(fleet, command);
    await reaches(node, 'banned');
    const { reasons, id } = await detailOf(node);
    expect(reasons.map((reason) => reason.rule)).toContain(rule);
    await expect(node.obtainCertificate('tpm')).rejects.toMatchObject({ code });
    const { certificates } = await installation.api.get<{ certificates: CertificateRecord[] }>(
      'issuer',
      '/v1/certificates',
      { node: id },
    );
    expect(certificates.length).toBeGreaterThan(0);
    expect(certificates.every(({ revoked }) => revoked)).toBe(true);
    await until('the ban is wanted', async () => {
      const { bans } = await installation.api.get<{ bans: BanRecord[] }>('issuer', '/v1/bans');
      return bans.some(({ nodeId, wanted }) => nodeId === id && wanted);
    });
    expect((await detailOf(nodeAt(SIZE - 1))).state).toBe('trusted');
  },
);

test('a silent node is not a failed one', async () => {
  const node = nodeAt(5);
  const before = node.polls;
  await runCommand(fleet, 'behave 6 silent');
  await until('it is asked', () => node.polls > before);
  expect((await detailOf(node)).state).toBe('trusted');
  await runCommand(fleet, 'behave 6 honest');
});

test('a line that is no command says what is', async () => {
  await expect(runCommand(fleet, 'explode 3')).rejects.toThrow(/"explode" is no command; there are: status/);
  await expect(runCommand(fleet, 'tamper 99')).rejects.toThrow(/1 to 12, not "99"/);
});

function nodeAt(index: number): FleetNode {
  const node = fleet.nodes[index];
  if (!node) throw new RangeError(`there is no node ${index}`);
  return node;
}

function detailOf({ name }: FleetNode): Promise<NodeDetail> {
  return installation.api.get<NodeDetail>('registrar', `/v1/nodes/${name}`);
}

async function reaches(node: FleetNode, state: NodeDetail['state']): Promise<void> {
  await until(`${node.name} is ${state}`, async () => (await detailOf(node)).state === state);
}
