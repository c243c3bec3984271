import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { renderPem } from '../../core/x509/pem.ts';
import { createNodeRoot } from '../../platform/pki/node-ca.ts';
import { SpireServer } from '../../platform/spire/server.ts';
import { SpireServerProcess } from './support/spire.ts';

const TRUST_DOMAIN = 'server.test';
const ADMIN = `spiffe://${TRUST_DOMAIN}/issuer`;
const DAY_MS = 86_400_000;
const UNKNOWN = '/spire/agent/x509pop/00000000-0000-8000-8000-000000000000';
let scratch: string;
let spire: SpireServerProcess;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'spire-'));
  const options = { binaries: inject('spireBinaries'), directory: scratch, trustDomain: TRUST_DOMAIN };
  const now = Date.now();
  const root = await createNodeRoot({
    commonName: 'Nodes',
    notBefore: new Date(now - DAY_MS),
    notAfter: new Date(now + DAY_MS),
  });
  const anchor = renderPem('CERTIFICATE', root.certificate.der);
  spire = await SpireServerProcess.start(options, anchor, '/x509pop/{{ .Issuer.CommonName }}', [ADMIN]);
});
afterAll(async () => {
  await spire?.close();
  await rm(scratch, { recursive: true, force: true });
});

async function overTcp(spiffeId: string): Promise<SpireServer> {
  return new SpireServer({ name: 'tcp', trustDomain: TRUST_DOMAIN, at: await spire.addressFor(spiffeId) });
}

const overSocket = () =>
  new SpireServer({ name: 'local', trustDomain: TRUST_DOMAIN, at: { socket: spire.socket } });

describe.each([
  ['its socket', overSocket],
  ['TCP, as an administrator', () => overTcp(ADMIN)],
] as const)('the real server, over %s', (_name, open) => {
  test('does not know an agent that never attested', async () => {
    const server = await open();
    expect(await server.ban(UNKNOWN)).toBe(false);
    expect(await server.forget(UNKNOWN)).toBe(false);
    expect(await server.agent(UNKNOWN)).toBeUndefined();
  });

  test('lists what hangs on an agent', async () => {
    const server = await open();
    const path = `/spire/agent/x509pop/${randomUUID()}`;
    expect(await server.entries(path)).toEqual([]);
    const entry = ['-spiffeID', `spiffe://${TRUST_DOMAIN}/w`, '-parentID', `spiffe://${TRUST_DOMAIN}${path}`];
    await spire.command('entry', 'create', ...entry, '-selector', 'unix:uid:1', '-x509SVIDTTL', '120');
    const wanted = { spiffeId: `spiffe://${TRUST_DOMAIN}/w`, selectors: ['unix:uid:1'], svidTtlSeconds: 120 };
    expect(await server.entries(path)).toMatchObject([wanted]);
  });

  test('an id that is no agent is an error that says what SPIRE said', async () => {
    const server = await open();
    await expect(server.ban('/workload')).rejects.toThrow(/BanAgent: InvalidArgument: .*agent/);
  });
});

test('an SVID that is no administrator is told what to do', async () => {
  const server = await overTcp(`spiffe://${TRUST_DOMAIN}/somebody`);
  await expect(server.ban(UNKNOWN)).rejects.toThrow(/BanAgent: PermissionDenied: .*admin_ids/);
});

test('a server with another SPIFFE ID than that of the trust domain is not spoken to', async () => {
  const at = await spire.addressFor(ADMIN);
  const own = at.svid.current();
  const bundles = new Map(own.bundles).set('other.test', own.bundles.get(TRUST_DOMAIN) ?? []);
  const svid = { current: () => ({ ...own, bundles }) };
  const server = new SpireServer({ name: 'other', trustDomain: 'other.test', at: { ...at, svid } });
  await expect(server.ban(UNKNOWN)).rejects.toThrow(/expected spiffe:\/\/other\.test\/spire\/server/);
});

test('a server of a trust domain whose bundle we do not have is not spoken to', async () => {
  const at = await spire.addressFor(ADMIN);
  const server = new SpireServer({ name: 'other', trustDomain: 'other.test', at });
  await expect(server.ban(UNKNOWN)).rejects.toThrow(/without the bundle of other\.test/);
});

test('a server that is away is an error, and no ban', async () => {
  const at = { socket: join(scratch, 'nobody.sock') };
  const server = new SpireServer({ name: 'away', trustDomain: TRUST_DOMAIN, at });
  await expect(server.ban(UNKNOWN)).rejects.toThrow(/SPIRE server away, BanAgent/);
});
