import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Exposure } from '../../core/messages/exposure.ts';
import { until } from '../e2e/support/until.ts';
import { policyOf } from '../e2e/support/world.ts';
import { SpireLoop } from './support/loop.ts';

let loop: SpireLoop;
beforeAll(async () => {
  // What is stolen must be good for longer than the test takes.
  const policy = policyOf({ trustForMs: 900_000 });
  const settings = { watch: '1s', clones: 'ban' } as const;
  loop = await SpireLoop.start({ anchor: { group: 'web' }, settings, policy });
});
afterAll(() => loop?.close());

test('id.clone: material that is used on two machines bans its node, and leaves others alone', async () => {
  const [node, honest] = [await loop.world.trustedNode('robbed'), await loop.world.trustedNode('honest')];
  const stolen = join(loop.scratch, 'stolen.pem');
  await copyFile(node.material, stolen);
  const kept = await loop.startAgent('honest', honest.material);
  const robbed = await loop.startAgent('robbed', node.material);
  await until('both attested', async () => (await loop.spire.agents()).length === 2, 20_000);
  const thief = await loop.startAgent('thief', stolen);
  await loop.world.untilState(node.id, 'banned', 120_000);
  const detail = await loop.world.api.get<{ note: string; changedBy: string }>(
    'registrar',
    `/v1/nodes/${node.id}`,
  );
  expect(detail).toMatchObject({ changedBy: 'issuer', note: expect.stringContaining('two places') });
  const { spire: places } = await loop.world.api.get<Exposure>('issuer', `/v1/nodes/${node.id}/exposure`);
  expect(places[0]?.clone?.message).toContain('SPIRE server test gave this agent');
  expect((await loop.world.api.get<{ state: string }>('registrar', `/v1/nodes/${honest.id}`)).state).toBe(
    'trusted',
  );
  expect([await robbed.ended, await thief.ended]).toEqual([1, 1]);
  expect(kept.running).toBe(true);
}, 180_000);
