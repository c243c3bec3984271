import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Lease } from '../../../../platform/leases.ts';
import { createLogger } from '../../../../platform/logging.ts';
import { ShardKeeper, type ShardKeeperOptions } from '../../../../verifier/scheduler/shard-keeper.ts';

const open: ShardKeeper[] = [];
afterEach(async () => {
  for (const keeper of open.splice(0)) await keeper.close();
});

/** A keeper whose rounds get `answers`, one after another; the last one stays. */
function bench(answers: readonly (readonly Lease[] | Error)[], changes: Partial<ShardKeeperOptions> = {}) {
  const log: string[] = [];
  let round = 0;
  const keeper = new ShardKeeper({
    leases: {
      async tend() {
        const answer = answers[Math.min(round, answers.length - 1)] ?? [];
        round += 1;
        if (answer instanceof Error) throw answer;
        return answer;
      },
      release: async () => {},
    },
    leaseMs: 90,
    now: () => performance.now(),
    onGained: async (shards) => void log.push(`gained ${shards.join()}`),
    onLost: (shards) => void log.push(`lost ${shards.join()}`),
    onSure: (sure) => {
      if (log.at(-1) !== `sure ${sure}`) log.push(`sure ${sure}`);
    },
    logger: createLogger({ level: 'silent', name: 'test' }),
    ...changes,
  });
  open.push(keeper);
  return { log, keeper };
}

const lease = (shard: number, fence = 1): Lease => ({ shard, fence });

describe('ShardKeeper', () => {
  test('follows what comes and goes', async () => {
    const { log, keeper } = bench([
      [lease(1), lease(2)],
      [lease(2), lease(3)],
    ]);
    await keeper.start();
    expect(log).toEqual(['gained 1,2', 'sure true']);
    await vi.waitFor(() => expect(log.slice(2)).toEqual(['lost 1', 'gained 3', 'sure true']));
    expect(keeper.shards).toEqual([2, 3]);
  });

  test('a shard that comes back with another fence was lost in between', async () => {
    const { log, keeper } = bench([[lease(1, 1)], [lease(1, 2)]]);
    await keeper.start();
    await vi.waitFor(() => expect(log.slice(2)).toEqual(['lost 1', 'gained 1', 'sure true']));
    expect(keeper.leaseOf(1)).toEqual(lease(1, 2));
  });

  test('stops when leases may have ended, and goes on when they are renewed', async () => {
    const away = new Error('away');
    const { log, keeper } = bench([[lease(1)], away, away, away, away, [lease(1)]]);
    await keeper.start();
    await vi.waitFor(() => expect(log).toEqual(['gained 1', 'sure true', 'sure false', 'sure true']));
  });

  test('shards whose nodes could not be read are taken over at the next round', async () => {
    let tries = 0;
    const { log, keeper } = bench([[lease(1)]], {
      onGained: async () => {
        tries += 1;
        if (tries === 1) throw new Error('away');
      },
    });
    await keeper.start();
    expect([log, keeper.shards]).toEqual([[], []]);
    await vi.waitFor(() => expect(keeper.shards).toEqual([1]));
  });
});
