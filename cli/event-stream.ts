export interface ServerSentEvent {
  readonly id?: string;
  readonly data: string;
}

/** Splits a text/event-stream body into events (WHATWG HTML, section 9.2). Comments and empty events are skipped. */
export async function* parseEventStream(body: AsyncIterable<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder();
  let buffer = '';
  for await (const chunk of body) {
    buffer += decoder.decode(chunk, { stream: true });
    const blocks = buffer.split(/\r?\n\r?\n/);
    buffer = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = parseBlock(block);
      if (event) yield event;
    }
  }
}

function parseBlock(block: string): ServerSentEvent | undefined {
  const data: string[] = [];
  let id: string | undefined;
  for (const line of block.split(/\r?\n/)) {
    const [name, value] = splitLine(line);
    if (name === 'data') data.push(value);
    if (name === 'id') id = value;
  }
  if (data.length === 0) return undefined;
  return { data: data.join('\n'), ...(id === undefined ? {} : { id }) };
}

function splitLine(line: string): [name: string, value: string] {
  const colon = line.indexOf(':');
  if (colon < 0) return [line, ''];
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
}
