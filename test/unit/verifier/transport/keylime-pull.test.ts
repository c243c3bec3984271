import { describe, expect, test } from 'vitest';
import { PeerError, type PinnedRequest } from '../../../../platform/http/pinned-pool.ts';
import type { EvidenceRequest } from '../../../../verifier/transport/evidence-source.ts';
import { keylimePull } from '../../../../verifier/transport/keylime-pull.ts';

const peer = { id: 'n', host: '127.0.0.1', port: 1, tlsSha256: new Uint8Array(32) };
const request: EvidenceRequest = {
  ...{ nonce: 'N', mask: '0x407', apiVersion: '2.6' },
  ...{ protocol: 'keylime', reportKey: false },
};

function source(answer: string | PeerError, status = 200) {
  const asked: PinnedRequest[] = [];
  const pool = {
    async request(_peer: unknown, one: PinnedRequest) {
      asked.push(one);
      if (answer instanceof PeerError) throw answer;
      return { status, body: Buffer.from(answer) };
    },
    drop: async () => {},
  };
  return { asked, source: keylimePull({ pool, timeoutMs: 5, maxBytes: 6 }) };
}

describe('keylimePull', () => {
  test('asks in the form of the API, within its limits', async () => {
    const { asked, source: pull } = source('{}');
    await pull.ask(peer, request);
    expect(asked).toEqual([
      {
        method: 'GET',
        path: '/v2.6/quotes/integrity?nonce=N&mask=0x407&partial=1&ima_ml_entry=0',
        timeoutMs: 5,
        maxBytes: 6,
      },
    ]);
  });

  test('a registered version of another form does not get into the path', async () => {
    const { asked, source: pull } = source('{}');
    await pull.ask(peer, { ...request, apiVersion: '2.6/../../x' });
    expect(asked[0]?.path).toMatch(/^\/v2\.1\//);
  });

  test('takes the quote, and nothing else', async () => {
    const { source: pull } = source('{"code":200,"results":{"quote":"rQ","hash_alg":"sha1","pubkey":7}}');
    expect(await pull.ask(peer, request)).toEqual({ came: true, quote: 'rQ' });
  });

  test('asks for the key that the quote binds where that matters, and takes it if it is one', async () => {
    const { asked, source: pull } = source('{"results":{"quote":"rQ","pubkey":"PEM\\n"}}');
    const wanted = { ...request, reportKey: true };
    expect(await pull.ask(peer, wanted)).toEqual({ came: true, quote: 'rQ', publicKey: 'PEM\n' });
    expect(asked[0]?.path).toContain('&partial=0&');
    for (const pubkey of ['7', 'null', JSON.stringify('x'.repeat(8193))]) {
      const other = source(`{"results":{"quote":"rQ","pubkey":${pubkey}}}`).source;
      expect(await other.ask(peer, wanted)).toEqual({ came: true, quote: 'rQ' });
    }
  });

  test('takes the boot log where it was asked for, and not where it was not', async () => {
    const body = '{"results":{"quote":"rQ","mb_measurement_list":"AQID"}}';
    expect(await source(body).source.ask(peer, request)).toEqual({ came: true, quote: 'rQ' });
    expect(await source(body).source.ask(peer, { ...request, boot: {} })).toEqual({
      ...{ came: true, quote: 'rQ' },
      firmware: Uint8Array.of(1, 2, 3),
    });
  });

  test.each([
    'null',
    '7',
    '[]',
    '',
    '{"results":null}',
    '{"results":[]}',
    '{"results":{"quote":null}}',
    '{"__proto__":{"results":{"quote":"rQ"}}}',
    '{"results":{"quote":"rQ"}',
  ])('node.answer: %s holds no quote', async (body) => {
    expect(await source(body).source.ask(peer, request)).toMatchObject({ finding: { rule: 'node.answer' } });
  });

  test.each([201, 301, 400, 500])(
    'node.answer: status %d is no answer, whatever comes with it',
    async (status) => {
      const { source: pull } = source('{"results":{"quote":"rQ"}}', status);
      expect(await pull.ask(peer, request)).toMatchObject({ finding: { rule: 'node.answer' } });
    },
  );

  test.each([
    ['dial-refused', 'api.dial'],
    ['unreachable', 'node.unreachable'],
    ['timeout', 'node.unreachable'],
    ['pin-mismatch', 'node.identity'],
    ['too-large', 'node.answer'],
  ] as const)('%s is the reason %s', async (reason, rule) => {
    const { source: pull } = source(new PeerError(reason, 'why'));
    expect(await pull.ask(peer, request)).toEqual({ came: false, finding: { rule, message: 'why' } });
  });
});
