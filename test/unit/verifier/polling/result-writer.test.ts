import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { AssayError } from '../../../../core/errors.ts';
import { createLogger } from '../../../../platform/logging.ts';
import { polledNode } from '../../../../verifier/polling/polled-node.ts';
import { ResultWriter, type ResultWriterOptions } from '../../../../verifier/polling/result-writer.ts';
import type { ResultRow } from '../../../../verifier/store/results.ts';
import { NOW, PASS, RECORD, SILENCE, TRUSTED } from './samples.ts';

const unavailable = Object.assign(new Error('connect ECONNREFUSED'), {
  code: 'ECONNREFUSED',
  syscall: 'connect',
});

/** Writes of the writer, in order; `fail` says which of them go wrong. */
function bench(
  changes: Partial<ResultWriterOptions> = {},
  fail: (row: readonly ResultRow[], write: number) => Error | undefined = () => undefined,
) {
  const writes: (readonly ResultRow[])[] = [];
  const stale: string[] = [];
  const writer = new ResultWriter({
    async write(render) {
      const { rows } = render();
      writes.push(rows);
      const error = fail(rows, writes.length);
      if (error) throw error;
      return new Set(rows.map(({ id }) => id));
    },
    fenceOf: () => 7,
    now: () => NOW,
    evidenceEvery: 1,
    onStale: (id) => stale.push(id),
    onBatch: () => {},
    logger: createLogger({ level: 'silent', name: 'test' }),
    ...changes,
  });
  return { writer, writes, stale };
}

const node = (id = RECORD.id) => polledNode({ ...RECORD, id }, TRUSTED);
const pass = (id: string) => ({ ...PASS, record: { ...RECORD, id } });

describe('ResultWriter', () => {
  test('writes what comes together as one batch, with the fence and the age of the nonce', async () => {
    const { writer, writes } = bench();
    for (const id of ['a', 'b']) writer.submit(node(id), pass(id));
    await writer.close();
    expect(writes).toHaveLength(1);
    expect(writes[0]).toMatchObject([
      { id: 'a', epoch: 4, fence: 7, elapsed_ms: 10, trust_ms: 60_000, clock: '5', history: false },
      { id: 'b' },
    ]);
  });

  test('knows afterwards what is recorded', async () => {
    const { writer } = bench();
    const one = node();
    writer.submit(one, SILENCE);
    await writer.close();
    expect(one.trust).toMatchObject({ outcome: 'inconclusive', reasonKey: 'node.unreachable' });
  });

  test('keeps the evidence of every n-th pass', async () => {
    const { writer, writes } = bench({ evidenceEvery: 3 });
    for (const passNumber of [0, 1, 3]) {
      writer.submit(node(`${passNumber}`), { ...pass(`${passNumber}`), passNumber });
    }
    await writer.close();
    expect(writes[0]?.map(({ evidence }) => evidence !== null)).toEqual([true, false, true]);
  });

  test('trust.expires: waits for a database that is away, with the newest result of each node', async () => {
    const { writer, writes } = bench({}, (_rows, write) => (write === 1 ? unavailable : undefined));
    const one = node();
    writer.submit(one, PASS);
    await sleep(50);
    expect(writes).toHaveLength(1);
    writer.submit(one, SILENCE);
    await sleep(400);
    expect(writes).toHaveLength(2);
    expect(writes[1]).toMatchObject([{ outcome: 'inconclusive' }]);
    await writer.close();
  });

  test('gives up a result that has become old while it waited', async () => {
    let now = NOW;
    const { writer, writes } = bench({ now: () => now }, () => unavailable);
    writer.submit(node(), PASS);
    await sleep(50);
    now += 31_000;
    await writer.close();
    expect(writes).toHaveLength(1);
  });

  test('api.total: a row that is refused does not take the others with it', async () => {
    const { writer, writes, stale } = bench({}, (rows) =>
      rows.some(({ id }) => id === 'bad') ? new AssayError('malformed', 'no such text') : undefined,
    );
    for (const id of ['a', 'bad', 'b']) writer.submit(node(id), pass(id));
    await writer.close();
    expect(writes.map((rows) => rows.map(({ id }) => id))).toEqual([
      ['a', 'bad', 'b'],
      ['a'],
      ['bad'],
      ['b'],
    ]);
    expect(stale).toEqual(['bad']);
  });

  test('a node that was not written is read again', async () => {
    const { writer, stale } = bench({ write: async () => new Set() });
    const one = node();
    writer.submit(one, SILENCE);
    await writer.close();
    expect(stale).toEqual(['n']);
    expect(one.trust).toBe(TRUSTED);
  });

  test('what is void is not written: discarded, lost, of an earlier epoch', async () => {
    const { writer, writes } = bench();
    const [discarded, lost, earlier] = [node('a'), node('b'), node('c')];
    writer.submit(discarded, pass('a'));
    writer.submit(lost, pass('b'));
    writer.submit(earlier, pass('c'));
    writer.discard('a');
    lost.gone = true;
    earlier.trust = { ...TRUSTED, epoch: 5 };
    await writer.close();
    expect(writes).toEqual([]);
  });

  test('a row of a shard that was lost meanwhile is left out', async () => {
    const { writer, writes } = bench({ fenceOf: () => undefined });
    writer.submit(node(), PASS);
    await writer.close();
    expect(writes).toEqual([[]]);
  });
});
