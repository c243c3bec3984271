import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePort } from '../../demo/ports.ts';
import { expectBanned, expectRefused } from './support/checks.ts';
import { until } from './support/until.ts';
import { useWorld } from './support/world.ts';

const world = useWorld();

test('id.clone: a copy of node and TPM that runs beside the original', async () => {
  const original = await world().trustedNode('original');
  const options = await original.copy(join(world().directory, 'copy'), await freePort());
  const copy = await world().bootCopy(options);
  await copy.start();
  expect(await copy.events.until('activated')).toMatchObject({ nodeId: original.id, version: 2 });
  expect(copy.tpm.ak.public, 'it loaded the AK of the original').toEqual(original.tpm.ak.public);
  await expectBanned(world(), original.id, 'id.clone');
  expect(copy.events.of('certificate'), 'the copy got nothing').toEqual([]);
  for (const one of [copy, original]) {
    await expectRefused(world(), original.id, () => one.askCertificate(), 'node.banned');
  }
  expect(await original.events.until('destroyed', 1, 45_000), 'renewal is refused').toMatchObject({
    reason: 'refused',
  });
  expect(existsSync(original.material)).toBe(false);
});

test('id.clone: a copy with a TLS key of its own, and the original that enrols again', async () => {
  const original = await world().trustedNode('second');
  const options = await original.copy(join(world().directory, 'second-copy'), await freePort());
  await rm(join(options.directory, 'state', 'tls.crt'));
  await rm(join(options.directory, 'state', 'tls.key'));
  const copy = await world().bootCopy(options);
  await copy.start();
  await copy.events.until('activated');
  await expectBanned(world(), original.id, 'id.clone');
  expect(copy.events.of('certificate')).toEqual([]);
  // Nobody knows its TLS key any more: it enrols again, and stays banned.
  await original.stop();
  await rm(join(original.stateDirectory, 'node.json'));
  await original.start();
  expect(await original.events.until('activated')).toMatchObject({ version: 3, state: 'banned' });
  expect(await original.events.until('not-trusted')).toMatchObject({ rules: ['node.banned'] });
});

test('quote.clock: an older copy that takes the place of the original is told by its TPM clock', async () => {
  const original = await world().trustedNode('replaced');
  const { id } = original;
  const options = await original.copy(join(world().directory, 'older'), original.options.port);
  // The original lives on, past what the copy knows: its TPM was reset more often.
  for (let boots = 0; boots < 2; boots += 1) await original.swtpm.reset();
  const { passes, tpmClock } = await world().detail(id);
  const isBooted = async () => {
    const now = await world().detail(id);
    return now.passes > passes && now.tpmClock?.resetCount === (tpmClock?.resetCount ?? 0) + 2;
  };
  await until('the original passes after its boots', isBooted);
  await original.close();
  const copy = await world().bootCopy(options);
  await copy.start();
  await expectBanned(world(), id, 'quote.clock');
  await expectRefused(world(), id, () => copy.askCertificate(), 'node.banned');
});
