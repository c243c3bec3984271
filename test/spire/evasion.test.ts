import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { AGENT_PATH_TEMPLATE } from '../../platform/spire/agent-path.ts';
import { type AttestTarget, attestX509pop } from '../../platform/spire/attest.ts';
import { EVASIONS, tryEvasion } from '../../platform/spire/evasion.ts';
import { EvasionNode, type EvasionPki } from '../../platform/spire/evasion-node.ts';
import { SpireServer } from '../../platform/spire/server.ts';
import { nodePki } from './support/node-pki.ts';
import { SpireServerProcess } from './support/spire.ts';

const TRUST_DOMAIN = 'evasion.test';
const DEFAULT_TEMPLATE = '/{{ .PluginName }}/{{ .Fingerprint }}';
let scratch: string;
let guarded: SpireServerProcess;
let careless: SpireServerProcess;
let pki: EvasionPki;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'evade-'));
  const made = await nodePki(TRUST_DOMAIN);
  pki = made.pki;
  const start = (name: string, template: string) => {
    const options = {
      binaries: inject('spireBinaries'),
      directory: join(scratch, name),
      trustDomain: TRUST_DOMAIN,
    };
    return SpireServerProcess.start(options, made.anchor, template);
  };
  [guarded, careless] = await Promise.all([start('g', AGENT_PATH_TEMPLATE), start('c', DEFAULT_TEMPLATE)]);
});
afterAll(async () => {
  await Promise.all([guarded?.close(), careless?.close()]);
  await rm(scratch, { recursive: true, force: true });
});

const targetOf = async (server: SpireServerProcess): Promise<AttestTarget> => ({
  address: `127.0.0.1:${server.port}`,
  trustDomain: TRUST_DOMAIN,
  bundle: await server.command('bundle', 'show'),
});
const cast = async () => ({ node: await EvasionNode.create(pki), other: await EvasionNode.create(pki) });

describe('spire.evasion: a node that holds its own CA, on the configuration that we print', () => {
  test.each(EVASIONS.map((row) => [row.id, row.attempt, row] as const))('%s: %s', async (_id, _what, row) => {
    const people = await cast();
    const { answer, problem } = await tryEvasion(await targetOf(guarded), row, people);
    expect(problem).toBeUndefined();
    if (row.must === 'own') {
      expect(answer).toMatchObject({ ok: true, path: people.node.path, reattestable: true });
    } else {
      expect(answer).toMatchObject({ ok: false, message: expect.stringMatching(row.says ?? /never/) });
    }
  });
});

describe('spire.evasion: a banned node', () => {
  const admin = () =>
    new SpireServer({ name: 'it', trustDomain: TRUST_DOMAIN, at: { socket: guarded.socket } });

  test('is refused under whatever it shows, and comes back only when it is let', async () => {
    const target = await targetOf(guarded);
    const people = await cast();
    const { node } = people;
    expect(await attestX509pop(target, await node.leaf())).toMatchObject({ ok: true, path: node.path });
    expect(await admin().ban(node.path)).toBe(true);
    for (const row of EVASIONS.filter(({ must }) => must === 'own')) {
      expect({ id: row.id, answer: await attestX509pop(target, await row.make(people)) }).toEqual({
        id: row.id,
        answer: { ok: false, code: 'PermissionDenied', message: 'failed to attest: agent is banned' },
      });
    }
    // The other node is not concerned.
    expect(await attestX509pop(target, await people.other.leaf())).toMatchObject({ ok: true });
    expect(await admin().forget(node.path)).toBe(true);
    expect(await attestX509pop(target, await node.leaf())).toMatchObject({ ok: true, path: node.path });
  });

  test('attests again after each of delete and evict with the same id: neither is a sanction', async () => {
    const target = await targetOf(guarded);
    const { node } = await cast();
    const attest = async () => attestX509pop(target, await node.leaf());
    expect(await attest()).toMatchObject({ ok: true, path: node.path });
    expect(await attest()).toMatchObject({ ok: true, path: node.path });
    await guarded.command('agent', 'evict', '-spiffeID', `spiffe://${TRUST_DOMAIN}${node.path}`);
    expect(await attest()).toMatchObject({ ok: true, path: node.path });
  });
});

test("on SPIRE's default template every leaf is another agent: the rows find that out and say what to do", async () => {
  const target = await targetOf(careless);
  const people = await cast();
  const results = [];
  for (const row of EVASIONS) results.push(await tryEvasion(target, row, people));
  const wrong = results.filter(({ problem }) => problem !== undefined);
  expect(wrong.map(({ row }) => row.id)).toEqual([
    ...EVASIONS.filter(({ must }) => must === 'own').map(({ id }) => id),
    'issuing-ca',
  ]);
  expect(new Set(wrong.map(({ problem }) => problem?.remedy)).size).toBe(1);
  expect(wrong[0]?.problem?.remedy).toContain('agent_path_template');
});

test('the server that answers must be that of the trust domain, and one that can be reached', async () => {
  const { node } = await cast();
  const target = await targetOf(guarded);
  const material = await node.leaf();
  await expect(attestX509pop({ ...target, trustDomain: 'other.test' }, material)).rejects.toThrow(
    'spiffe://other.test/spire/server',
  );
  await expect(
    attestX509pop({ ...target, bundle: await careless.command('bundle', 'show') }, material),
  ).rejects.toThrow();
  await expect(attestX509pop({ ...target, address: '127.0.0.1:1' }, material)).rejects.toThrow(
    'ECONNREFUSED',
  );
});
