import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AssayError } from '../../../../core/errors.ts';
import { KeeperWorld } from '../../../fakes/keeper-world.ts';

const refusal = (rule: string, code: 'not-trusted' | 'not-admitted' = 'not-trusted') =>
  new AssayError(code, rule, { details: [{ rule, message: rule }] });

function allowedWorld(): KeeperWorld {
  const world = new KeeperWorld();
  world.keeper.allow();
  return world;
}

/** Between one time and the next, in whole milliseconds. */
function gapsMs(seconds: readonly number[]): number[] {
  return seconds.slice(1).map((at, i) => Math.round((at - (seconds[i] ?? 0)) * 1000));
}

test('asks for nothing before it is allowed to', async () => {
  const world = new KeeperWorld();
  await world.run(100);
  expect(world.asked).toEqual([]);
});

test('obtains, mints, and writes; then renews leaf and intermediate each at half life', async () => {
  const world = allowedWorld();
  await world.run(901);
  expect(world.asked).toEqual([0, 300, 600, 900]);
  expect([...new Set(world.minted)]).toEqual([0, 150, 300, 450, 600, 750, 900]);
  expect(world.destroyed).toBe(0);
});

test('half life has a jitter of a tenth to both sides', async () => {
  const [early, late] = [allowedWorld(), allowedWorld()];
  early.random = () => 0;
  late.random = () => 0.999;
  await early.run(400);
  await late.run(400);
  expect(early.asked[1]).toBe(240);
  expect(late.asked[1]).toBeCloseTo(360, 0);
});

test('a leaf that lasts as long as its intermediate is not minted anew', async () => {
  const world = allowedWorld();
  world.leafTtlMs = 600_000;
  await world.run(299);
  expect(world.minted).toEqual([0]);
});

test('revoke.destroy: a revocation destroys at once, in the middle of a wait', async () => {
  const world = allowedWorld();
  await world.run(60, [
    [20, () => world.keeper.revoke([])],
    [20.5, () => expect(world.file).toBeUndefined()],
  ]);
  expect(world.steps().slice(0, 4)).toEqual(['certificate', 'material-written', 'revoked', 'destroyed']);
  expect(world.asked[1], 'asks again, not at once').toBeGreaterThanOrEqual(25);
});

test('revoke.destroy: what was asked of the issuer before a revocation is not used after it', async () => {
  const world = allowedWorld();
  world.issuer = async () => {
    world.issuer = undefined;
    await world.keeper.revoke([]);
  };
  await world.run(3);
  expect(world.file).toBeUndefined();
  expect(world.discarded).toBe(1);
  expect(world.steps()).toEqual(['revoked']);
});

test('revoke.destroy: what is minted while a revocation comes is not written', async () => {
  const world = allowedWorld();
  world.beforeMint = async () => {
    world.beforeMint = async () => {};
    await world.keeper.revoke([]);
  };
  await world.run(3);
  expect(world.file).toBeUndefined();
});

test('revoke.destroy: a file that is being written when a revocation comes is destroyed after it', async () => {
  const world = allowedWorld();
  let revoked: Promise<void> | undefined;
  world.beforeWrite = async () => {
    revoked = world.keeper.revoke([]);
  };
  await world.run(3);
  await revoked;
  expect(world.file).toBeUndefined();
  expect(world.keeper.state.leaf, 'nothing is taken for held').toBeUndefined();
  expect(world.steps()).toEqual(['certificate', 'revoked', 'destroyed']);
});

test.each(['node.failed', 'node.banned', 'node.retired'])(
  'revoke.destroy: %s destroys what is held',
  async (rule) => {
    const world = allowedWorld();
    await world.run(301, [[290, () => (world.issuer = () => Promise.reject(refusal(rule)))]]);
    expect(world.file).toBeUndefined();
    expect(world.events).toContainEqual(expect.objectContaining({ step: 'destroyed', reason: 'refused' }));
  },
);

test.each([
  ['node.stale', refusal('node.stale')],
  ['node.enrolled', refusal('node.enrolled')],
  ['not-admitted', refusal('node.pending', 'not-admitted')],
  ['an issuer that does not answer', new AssayError('unavailable', 'down')],
  ['a fault', new TypeError('bug')],
])('%s keeps what is valid, and destroys it at its end', async (_name, error) => {
  const world = allowedWorld();
  await world.run(700, [
    [290, () => (world.issuer = () => Promise.reject(error))],
    [595, () => expect(world.file).toBeDefined()],
  ]);
  expect(world.file).toBeUndefined();
  expect(world.overdueMs).toBeLessThanOrEqual(0);
  expect(world.events).toContainEqual(expect.objectContaining({ step: 'destroyed', reason: 'expired' }));
});

test('an answer of the issuer that does not come keeps nothing longer, and holds up no new leaf', async () => {
  const world = allowedWorld();
  world.leafTtlMs = 200_000;
  await world.run(700, [[290, () => (world.issuer = () => world.hang())]]);
  expect(world.asked).toEqual([0, 300]);
  expect(world.minted).toContain(400);
  expect(world.overdueMs).toBeLessThanOrEqual(0);
  expect(world.file).toBeUndefined();
  expect(world.events).toContainEqual(expect.objectContaining({ step: 'destroyed', reason: 'expired' }));
});

test('what was minted from an intermediate that was replaced meanwhile is not written', async () => {
  const world = allowedWorld();
  world.leafTtlMs = 200_000;
  let answer = () => {};
  const written = () => world.steps().filter((step) => step === 'material-written').length;
  await world.run(405, [
    [290, () => (world.issuer = () => new Promise((done) => (answer = done)))],
    [
      399,
      () => {
        expect(written()).toBe(4);
        world.beforeMint = async () => {
          world.beforeMint = async () => {};
          answer();
          await new Promise((settled) => setImmediate(settled));
        };
      },
    ],
  ]);
  expect(world.minted.slice(-2)).toEqual([400, 400]);
  expect(written()).toBe(5);
});

test('an answer that comes after what it was to replace was over is used', async () => {
  const world = allowedWorld();
  let answer = () => {};
  await world.run(700, [
    [290, () => (world.issuer = () => new Promise((done) => (answer = done)))],
    [640, () => answer()],
  ]);
  expect(world.asked).toEqual([0, 300]);
  expect(world.file).toBeDefined();
  expect(world.steps()).toContain('destroyed');
});

test('revoke.destroy: an answer that comes after a revocation is not used, however late', async () => {
  const world = allowedWorld();
  let answer = () => {};
  await world.run(360, [
    [290, () => (world.issuer = () => new Promise((done) => (answer = done)))],
    [320, () => world.keeper.revoke([])],
    [321, () => (world.issuer = () => Promise.reject(refusal('node.failed')))],
    [322, () => answer()],
  ]);
  expect(world.file).toBeUndefined();
  expect(world.steps().slice(world.steps().indexOf('revoked'))).not.toContain('certificate');
});

test('a banned node asks slowly: at most once in 45 seconds in the end', async () => {
  const world = allowedWorld();
  world.issuer = () => Promise.reject(refusal('node.banned'));
  await world.run(600);
  const gaps = world.asked.slice(1).map((at, i) => at - (world.asked[i] ?? 0));
  expect(gaps[0]).toBeGreaterThanOrEqual(5);
  expect(Math.min(...gaps.slice(4))).toBeGreaterThanOrEqual(45);
});

test('trusted again: the file comes back, and a later fail waits briefly first again', async () => {
  const world = allowedWorld();
  world.issuer = () => Promise.reject(refusal('node.failed'));
  await world.run(120, [[60, () => (world.issuer = undefined)]]);
  expect(world.file).toBeDefined();
});

test('a certificate of the services that is unknown: says so once, and asks no more until allowed', async () => {
  const world = allowedWorld();
  world.issuer = () => Promise.reject(new AssayError('unauthenticated', 'who?'));
  await world.run(120, [[60, () => world.keeper.allow()]]);
  expect(world.asked).toEqual([0, 60]);
  expect(world.unknown).toBe(2);
});

test('a certificate that is over when it comes is not used, and not asked for in a circle', async () => {
  const world = allowedWorld();
  world.issuerTtlMs = 0;
  await world.run(60);
  expect(world.minted).toEqual([]);
  expect(world.discarded, 'its key is forgotten').toBe(world.asked.length);
  expect(world.asked.length).toBeLessThan(12);
  expect(world.events).toContainEqual(expect.objectContaining({ message: expect.stringContaining('clock') }));
});

test('what an earlier run left is kept to its end, and replaced when that is possible', async () => {
  const world = new KeeperWorld();
  world.file = { pem: 'old', notAfter: new Date(Date.parse('2026-01-01T00:01:00Z')) };
  await world.run(61);
  expect(world.events).toMatchObject([{ step: 'destroyed', reason: 'expired' }]);
  expect(world.overdueMs).toBeLessThanOrEqual(0);
});

test('what an earlier run left goes over to the new intermediate, also when it lasts as long', async () => {
  const world = allowedWorld();
  world.file = { pem: 'old', notAfter: new Date(Date.parse('2026-01-01T00:10:00Z')) };
  world.leafTtlMs = 600_000;
  await world.run(2);
  expect(world.minted).toEqual([0]);
});

test('a file that cannot be destroyed is tried again, once a second', async () => {
  const world = allowedWorld();
  world.destroyFails = true;
  await world.run(40, [
    [19, () => (world.issuer = () => Promise.reject(refusal('node.stale')))],
    [20, () => world.keeper.revoke([])],
    [30, () => (world.destroyFails = false)],
  ]);
  expect(world.destroyed).toBeGreaterThanOrEqual(9);
  expect(world.destroyed).toBeLessThanOrEqual(12);
  expect(world.events.filter(({ step }) => step === 'destroyed')).toMatchObject([{ reason: 'revoked' }]);
});

test('a file whose destruction fails late is tried again a second after that', async () => {
  const world = allowedWorld();
  let fail = (_: Error) => {};
  world.beforeDestroy = () => new Promise((_, failed) => (fail = failed));
  await world.run(24, [
    [20, () => void world.keeper.revoke([])],
    [
      22,
      () => {
        world.beforeDestroy = async () => {};
        fail(new Error('EIO'));
      },
    ],
  ]);
  expect(world.destroyedAt).toEqual([20, 23]);
  expect(world.file).toBeUndefined();
});

test('what an earlier run left and nobody can read is destroyed', async () => {
  const world = new KeeperWorld();
  world.restoreFails = true;
  world.file = { pem: 'old', notAfter: new Date(Date.parse('2026-01-01T00:01:00Z')) };
  await world.run(2);
  expect(world.file).toBeUndefined();
  expect(world.steps()).toEqual(['trouble', 'destroyed']);
});

test('at the end of the run the key in memory is forgotten, and the file stays', async () => {
  const world = allowedWorld();
  await world.run(10);
  expect(world.discarded).toBe(1);
  expect(world.file).toBeDefined();
});

test('whatever comes: no wait under a second, no question twice in a second, no leaf past its end', async () => {
  const trouble = fc.constantFrom(
    ...['ok', 'ok', 'down', 'node.failed', 'node.stale', 'mint', 'write', 'revoke', 'short', 'past'],
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(trouble, { minLength: 1, maxLength: 40 }),
      fc.double({ min: 0, max: 0.99, noNaN: true }),
      async (script, random) => {
        const world = allowedWorld();
        world.random = () => random;
        let turn = 0;
        const next = () => script[turn++ % script.length];
        const fail = async (kind: string) => {
          if (next() === kind) throw new Error(kind);
        };
        world.beforeMint = () => fail('mint');
        world.beforeWrite = () => fail('write');
        world.issuer = async () => {
          const now = next() ?? 'ok';
          world.issuerTtlMs = now === 'short' ? 4_000 : now === 'past' ? -1 : 120_000;
          if (now === 'down') throw new AssayError('unavailable', now);
          if (now.startsWith('node.')) throw refusal(now);
          if (now === 'revoke') await world.keeper.revoke([]);
        };
        await world.run(900);
        expect(Math.min(...world.waits)).toBeGreaterThanOrEqual(1_000);
        expect(Math.max(...world.waits)).toBeLessThanOrEqual(15_000);
        expect(Math.min(1_000, ...gapsMs(world.asked))).toBeGreaterThanOrEqual(1_000);
        expect(gapsMs(world.minted).filter((gap) => gap < 1_000).length).toBeLessThanOrEqual(
          world.asked.length,
        );
        expect(world.overdueMs).toBeLessThanOrEqual(1_000);
      },
    ),
    { numRuns: 100 },
  );
});
