import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agentPath } from '../../../platform/spire/agent-path.ts';
import { SPIRE_CONTRACT } from '../../fakes/spire-contract.ts';
import { FakeSpireServer } from '../../fakes/spire-server.ts';

const TRUST_DOMAIN = 'fake.test';
let scratch: string;
let fake: FakeSpireServer;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'fake-'));
  fake = await new FakeSpireServer({ socket: join(scratch, 's.sock'), trustDomain: TRUST_DOMAIN }).start();
});
afterAll(async () => {
  await fake.stop();
  await rm(scratch, { recursive: true, force: true });
});

describe('the server for tests does what the real one does', () => {
  test.each(SPIRE_CONTRACT)('$name', ({ run }) =>
    run({
      ...{ socket: fake.socket, trustDomain: TRUST_DOMAIN },
      attest: async (nodeId) => fake.attest(agentPath(nodeId)),
      purge: async () => fake.purge(-3_600_000),
      newNodeId: async () => randomUUID(),
    }),
  );
});

// From reading spire-server: the row is read before the SVID is signed, and written after. Not to be met by trying.
test('a ban that comes while its agent attests is overwritten', () => {
  const path = agentPath(randomUUID());
  fake.attest(path);
  const finish = fake.attesting(path);
  fake.ban(path);
  finish();
  expect(fake.isBanned(path)).toBe(false);
});
