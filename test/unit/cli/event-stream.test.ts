import { expect, test } from 'vitest';
import { parseEventStream } from '../../../cli/event-stream.ts';

async function parse(...chunks: readonly string[]) {
  const encoder = new TextEncoder();
  const body = (async function* () {
    for (const chunk of chunks) yield encoder.encode(chunk);
  })();
  return Array.fromAsync(parseEventStream(body));
}

test('an event may arrive in any pieces', async () => {
  expect(await parse('id: 7\nda', 'ta: {"a":', '1}\n', '\nid: 8\ndata: x\n\n')).toEqual([
    { id: '7', data: '{"a":1}' },
    { id: '8', data: 'x' },
  ]);
});

test('a character cut in two by a chunk stays whole', async () => {
  const bytes = new TextEncoder().encode('data: é\n\n');
  const body = (async function* () {
    yield bytes.subarray(0, 7);
    yield bytes.subarray(7);
  })();
  expect(await Array.fromAsync(parseEventStream(body))).toEqual([{ data: 'é' }]);
});

test('heartbeats and unfinished events are not events', async () => {
  expect(await parse(': keep-alive\n\n', 'data: unfinished')).toEqual([]);
});

test('several data lines are one text', async () => {
  expect(await parse('data: a\r\ndata: b\r\n\r\n')).toEqual([{ data: 'a\nb' }]);
});
