import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, constants } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { AGENT_PATH_TEMPLATE } from '../../platform/spire/agent-path.ts';
import { attestX509pop } from '../../platform/spire/attest.ts';
import { EvasionNode, type EvasionPki } from '../../platform/spire/evasion-node.ts';
import { SpireServer } from '../../platform/spire/server.ts';
import { until } from '../e2e/support/until.ts';
import { nodePki, writeMaterial } from './support/node-pki.ts';
import { SpireAgentProcess, SpireServerProcess } from './support/spire.ts';

const TRUST_DOMAIN = 'least.test';
const ISSUER = `spiffe://${TRUST_DOMAIN}/assay/issuer`;
const SHIPPED = fileURLToPath(new URL('../../packaging/spire/server.rego', import.meta.url));
const PERMISSION_DENIED = '7';
let scratch: string;
let spire: SpireServerProcess;
let pki: EvasionPki;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'least-'));
  const made = await nodePki(TRUST_DOMAIN);
  pki = made.pki;
  const policyFile = join(scratch, 'server.rego');
  const shipped = await readFile(SHIPPED, 'utf8');
  expect(shipped).toContain('"spiffe://example.org/assay/issuer"');
  await writeFile(policyFile, shipped.replace('spiffe://example.org/assay/issuer', ISSUER));
  const options = {
    binaries: inject('spireBinaries'),
    directory: join(scratch, 's'),
    ...{ trustDomain: TRUST_DOMAIN, policyFile },
  };
  spire = await SpireServerProcess.start(options, made.anchor, AGENT_PATH_TEMPLATE);
});
afterAll(async () => {
  await spire?.close();
  await rm(scratch, { recursive: true, force: true });
});

/** gRPC status of a call with an empty message. */
async function statusOf(spiffeId: string, method: string): Promise<string> {
  const { certificate, key, bundle } = await spire.mint(spiffeId);
  const session = connect(`https://127.0.0.1:${spire.port}`, {
    ...{ cert: await readFile(certificate), key: await readFile(key), ca: await readFile(bundle) },
    checkServerIdentity: () => undefined,
  });
  try {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: method,
      ...{ 'content-type': 'application/grpc', te: 'trailers' },
    });
    stream.end(Buffer.alloc(5));
    let status: unknown;
    const note = (headers: Readonly<Record<string, unknown>>) => {
      status ??= headers['grpc-status'];
    };
    stream.on('response', note);
    stream.on('trailers', note);
    stream.resume();
    await once(stream, 'close');
    return String(status);
  } finally {
    session.close();
  }
}

const attest = async (node: EvasionNode) =>
  attestX509pop(
    {
      address: `127.0.0.1:${spire.port}`,
      trustDomain: TRUST_DOMAIN,
      bundle: await spire.command('bundle', 'show'),
    },
    await node.leaf(),
  );

describe('spire.least-privilege: under the OPA policy that ships', () => {
  test('the issuer, which is no administrator, bans, looks, and lets back', async () => {
    const node = await EvasionNode.create(pki);
    expect(await attest(node)).toMatchObject({ ok: true, path: node.path });
    const at = await spire.addressFor(ISSUER);
    const issuer = new SpireServer({ name: 'it', trustDomain: TRUST_DOMAIN, at });
    expect(await issuer.ban(node.path)).toBe(true);
    expect(await issuer.agent(node.path)).toMatchObject({ banned: true });
    expect(await issuer.entries(node.path)).toEqual([]);
    expect(await attest(node)).toMatchObject({ ok: false, message: 'failed to attest: agent is banned' });
    expect(await issuer.forget(node.path)).toBe(true);
    expect(await attest(node)).toMatchObject({ ok: true });
  });

  test.each([
    'svid.v1.SVID/MintX509SVID',
    'svid.v1.SVID/MintJWTSVID',
    'svid.v1.SVID/NewDownstreamX509CA',
    'svid.v1.SVID/BatchNewX509SVID',
    'entry.v1.Entry/BatchCreateEntry',
    'entry.v1.Entry/BatchUpdateEntry',
    'entry.v1.Entry/BatchDeleteEntry',
    'agent.v1.Agent/CreateJoinToken',
    'bundle.v1.Bundle/AppendBundle',
    'bundle.v1.Bundle/BatchSetFederatedBundle',
    'localauthority.v1.LocalAuthority/TaintX509Authority',
    'trustdomain.v1.TrustDomain/BatchCreateFederationRelationship',
  ])('and cannot call %s', async (method) => {
    expect(await statusOf(ISSUER, `/spire.api.server.${method}`)).toBe(PERMISSION_DENIED);
  });

  test('another workload can do none of it', async () => {
    for (const method of ['BanAgent', 'DeleteAgent', 'GetAgent', 'ListAgents']) {
      const path = `/spire.api.server.agent.v1.Agent/${method}`;
      expect(await statusOf(`spiffe://${TRUST_DOMAIN}/other`, path)).toBe(PERMISSION_DENIED);
      expect(await statusOf(ISSUER, path)).not.toBe(PERMISSION_DENIED);
    }
  });

  test('SPIRE itself goes on: an agent attests, synchronises, and its workload gets an SVID', async () => {
    const node = await EvasionNode.create(pki);
    const material = await writeMaterial(join(scratch, 'node.pem'), await node.leaf());
    const ids = { parent: `spiffe://${TRUST_DOMAIN}${node.path}`, workload: `spiffe://${TRUST_DOMAIN}/w` };
    const selector = `unix:uid:${process.getuid?.()}`;
    const entry = ['-parentID', ids.parent, '-spiffeID', ids.workload, '-selector', selector];
    await spire.command('entry', 'create', ...entry);
    const agent = await SpireAgentProcess.start(spire, join(scratch, 'a'), material);
    try {
      const fetched = () =>
        agent.fetchSvid(spire, join(scratch, 'w')).then(
          () => true,
          () => false,
        );
      await until('the workload has its SVID', fetched, 60_000);
    } finally {
      await agent.close();
    }
  });
});
