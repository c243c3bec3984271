import { describe, expect, test } from 'vitest';
import { concat } from '../../../../core/bytes/writer.ts';
import { renderEvidenceHeader } from '../../../../core/messages/evidence.ts';
import { PeerError, type PinnedRequest } from '../../../../platform/http/pinned-pool.ts';
import { assayPull } from '../../../../verifier/transport/assay-pull.ts';
import type { EvidenceRequest } from '../../../../verifier/transport/evidence-source.ts';

const peer = { id: 'n', host: '127.0.0.1', port: 1, tlsSha256: new Uint8Array(32) };
const request: EvidenceRequest = {
  ...{ nonce: 'N', mask: '0x407', apiVersion: '2.6' },
  ...{ protocol: 'assay', reportKey: false },
};
const LOG = 'ab'.repeat(32);

function source(answer: Uint8Array | PeerError, status = 200) {
  const asked: PinnedRequest[] = [];
  const pool = {
    async request(_peer: unknown, one: PinnedRequest) {
      asked.push(one);
      if (answer instanceof PeerError) throw answer;
      return { status, body: Buffer.from(answer) };
    },
    drop: async () => {},
  };
  return { asked, source: assayPull({ pool, timeoutMs: 5, maxBytes: 6 }) };
}

const body = concat(
  renderEvidenceHeader({ quote: 'rQ', firmware: 2, userspace: 'same', ima: { entry: 7, offset: 700 } }),
  Uint8Array.of(1, 2, 3, 4, 5),
);

describe('assayPull', () => {
  test.each([
    ['nothing', {}, ''],
    ['all of the boot logs', { boot: {} }, '&boot=all&userspace=all'],
    ['logs unless they are those', { boot: { firmware: LOG } }, `&boot=${LOG}&userspace=all`],
    ['a list from a place on', { imaFrom: { entries: 7, bytes: 700 } }, '&ima=7.700'],
  ])('asks for %s besides the quote', async (_name, more, query) => {
    const { asked, source: pull } = source(body);
    await pull.ask(peer, { ...request, ...more });
    const path = `/v1/evidence?nonce=N&mask=0x407${query}`;
    expect(asked).toEqual([{ method: 'GET', path, timeoutMs: 5, maxBytes: 6 }]);
  });

  test('takes what came', async () => {
    expect(await source(body).source.ask(peer, request)).toEqual({
      ...{ came: true, quote: 'rQ', firmware: Buffer.from([1, 2]), userspace: 'same' },
      ima: { bytes: Buffer.from([3, 4, 5]), firstEntry: 7, offset: 700 },
    });
  });

  test('node.answer: what is no evidence, and what has another status', async () => {
    for (const [answer, status] of [
      [body.subarray(0, 9), 200],
      [body, 500],
    ] as const) {
      const { source: pull } = source(answer, status);
      expect(await pull.ask(peer, request)).toMatchObject({ came: false, finding: { rule: 'node.answer' } });
    }
  });

  test('node.unreachable: a node that cannot be asked', async () => {
    const { source: pull } = source(new PeerError('timeout', 'why'));
    expect(await pull.ask(peer, request)).toEqual({
      came: false,
      finding: { rule: 'node.unreachable', message: 'why' },
    });
  });
});
