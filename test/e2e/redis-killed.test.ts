import { existsSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { OwnRedis } from './support/redis.ts';
import { until } from './support/until.ts';
import { policyOf, useWorld } from './support/world.ts';

// Redis carries notices to agents and nothing that trust rests on: without it trust is renewed and ended as before, and
// what nobody could be told is told when it is back, although it has forgotten everything.

let redis: OwnRedis | undefined;
afterAll(() => redis?.close());

const world = useWorld({
  redis: async () => {
    redis = await OwnRedis.start();
    return redis.socket;
  },
});

const toldEpoch = async (nodeId: string): Promise<number> => {
  const { rows } = await world().database.pool.query<{ epoch: number }>(
    'SELECT told_epoch AS epoch FROM node_trust WHERE node_id = $1',
    [nodeId],
  );
  return rows[0]?.epoch ?? -1;
};
const passes = async (nodeId: string) => (await world().detail(nodeId)).passes;

test('revoke.destroy: with Redis killed trust goes on and ends as ever, and agents hear of it when it is back', async () => {
  const node = await world().trustedNode('without-redis');
  await redis?.kill();

  const before = await passes(node.id);
  await until('it is polled on', async () => (await passes(node.id)) > before + 1, 20_000);

  // A verifier that starts now has to do its work all the same.
  await world().process('verifier-1').stop();
  await world().serve('verifier');
  const after = await passes(node.id);
  await until('the new one polls', async () => (await passes(node.id)) > after + 1, 20_000);

  const bad = `  values: { 1: { any-of: ['${'ab'.repeat(32)}'] } }\n`;
  await world().setPolicy(
    policyOf().replace(/pcrs: \{ (.*) \}\n/, `pcrs:\n  bank: sha256\n  require: 0-7\n${bad}`),
  );
  await world().untilState(node.id, 'banned');
  await until('its certificate is on the CRL', async () => (await world().crl()).size > 0, 10_000);
  expect(await toldEpoch(node.id)).toBe(0);

  await redis?.restart();
  await until('the agent was told', async () => (await toldEpoch(node.id)) === 1, 90_000);
  await until('its material is destroyed', () => !existsSync(node.material), 10_000);
}, 180_000);
