import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, inject, test } from 'vitest';
import { AGENT_PATH_TEMPLATE } from '../../platform/spire/agent-path.ts';
import { attestX509pop } from '../../platform/spire/attest.ts';
import { EvasionNode } from '../../platform/spire/evasion-node.ts';
import { type ContractSubject, SPIRE_CONTRACT } from '../fakes/spire-contract.ts';
import { nodePki } from './support/node-pki.ts';
import { SpireServerProcess } from './support/spire.ts';

const TRUST_DOMAIN = 'contract.test';
let scratch: string;
let spire: SpireServerProcess;
let subject: ContractSubject;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'spire-'));
  const { pki, anchor } = await nodePki(TRUST_DOMAIN);
  const options = { binaries: inject('spireBinaries'), directory: scratch, trustDomain: TRUST_DOMAIN };
  spire = await SpireServerProcess.start(options, anchor, AGENT_PATH_TEMPLATE);
  const bundle = await spire.command('bundle', 'show');
  const place = { address: `127.0.0.1:${spire.port}`, trustDomain: TRUST_DOMAIN, bundle };
  subject = {
    ...{ socket: spire.socket, trustDomain: TRUST_DOMAIN },
    attest: async (nodeId) => {
      const node = await EvasionNode.create(pki, nodeId);
      const answer = await attestX509pop(place, await node.leaf());
      if (!answer.ok) throw new Error(answer.message);
    },
    purge: async () => {
      // SVIDs live for a minute: all are taken as expired.
      await spire.command('agent', 'purge', '-expiredFor', '-1h');
    },
    newNodeId: async () => (await EvasionNode.create(pki)).id,
  };
});
afterAll(async () => {
  await spire?.close();
  await rm(scratch, { recursive: true, force: true });
});

describe('spire-server does to agents and bans what our services rely on', () => {
  test.each(SPIRE_CONTRACT)('$name', ({ run }) => run(subject));
});
