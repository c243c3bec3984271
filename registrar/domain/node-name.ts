/** What a text that names a node may be: only the records know which. */
export interface NodeName {
  readonly id: string | null;
  /** The beginning of an id, at least 4 characters: the first and the last id that begin so. */
  readonly prefix: { readonly first: string; readonly last: string } | null;
  readonly alias: string | null;
}

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ALIAS = /^[A-Za-z0-9._-]{1,128}$/;
const PREFIX = /^[0-9a-f-]{4,35}$/;
const SHAPE = '00000000-0000-0000-0000-000000000000';

/** Reads an id, the beginning of one, or an alias; an alias may well look like the other two. */
export function parseNodeName(text: string): NodeName {
  return {
    id: ID.test(text) ? text : null,
    prefix: parsePrefix(text),
    alias: ALIAS.test(text) ? text : null,
  };
}

function parsePrefix(text: string): NodeName['prefix'] {
  const first = text + SHAPE.slice(text.length);
  if (!PREFIX.test(text) || !ID.test(first)) return null;
  return { first, last: text + SHAPE.slice(text.length).replaceAll('0', 'f') };
}
