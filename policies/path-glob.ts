/** A set of paths, compiled. */
export interface PathGlob {
  /** As it was written. */
  readonly text: string;
  matches(path: Uint8Array): boolean;
}

const SLASH = 0x2f;
const MAX_BYTES = 512;
const ANY_BYTE = -1;
const NOT_SLASH = -2;

/**
 * An absolute path in which `?` is any byte but `/`, `*` any number of them, and `**` any bytes at all. It covers the
 * whole path (rule `ima.exclude`): `/tmp/**` covers what is below `/tmp`, and neither `/tmp` nor `/tmpevil`. Matching
 * takes time linear in the path for one pattern, whatever the path is.
 *
 * @throws {RangeError} for what is not absolute, is too long, or would cover everything
 */
export function compileGlob(text: string): PathGlob {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes[0] !== SLASH) throw new RangeError('must be an absolute path, such as /tmp/**');
  if (bytes.length > MAX_BYTES) throw new RangeError(`must have at most ${MAX_BYTES} bytes`);
  const tokens = tokensOf(bytes);
  const literal = tokens.findIndex(({ repeat, byte }) => repeat || byte < 0);
  const prefix = bytes.subarray(0, literal < 0 ? bytes.length : literal);
  if (prefix.length <= 1 && literal >= 0)
    throw new RangeError('must name a directory before its first wildcard');
  if (literal < 0) return { text, matches: (path) => Buffer.compare(path, prefix) === 0 };
  const rest = tokens.slice(literal);
  return { text, matches: (path) => startsWith(path, prefix) && matchesFrom(rest, path, prefix.length) };
}

interface Token {
  /** A byte, ANY_BYTE or NOT_SLASH. */
  readonly byte: number;
  readonly repeat: boolean;
}

function tokensOf(bytes: Uint8Array): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < bytes.length; at += 1) {
    const character = String.fromCharCode(bytes[at] ?? 0);
    if (character === '*') {
      const isDeep = bytes[at + 1] === bytes[at];
      if (isDeep) at += 1;
      tokens.push({ byte: isDeep ? ANY_BYTE : NOT_SLASH, repeat: true });
    } else if (character === '?') tokens.push({ byte: NOT_SLASH, repeat: false });
    else tokens.push({ byte: bytes[at] ?? 0, repeat: false });
  }
  return tokens;
}

function startsWith(path: Uint8Array, prefix: Uint8Array): boolean {
  if (path.length < prefix.length) return false;
  for (let at = 0; at < prefix.length; at += 1) if (path[at] !== prefix[at]) return false;
  return true;
}

/** All places in the pattern at once, byte by byte: no path can make it go back. */
function matchesFrom(tokens: readonly Token[], path: Uint8Array, start: number): boolean {
  let places = withSkips(tokens, new Set([0]));
  for (let at = start; at < path.length && places.size > 0; at += 1) {
    const next = new Set<number>();
    for (const place of places) {
      const token = tokens[place];
      if (token && accepts(token, path[at] ?? 0)) next.add(token.repeat ? place : place + 1);
    }
    places = withSkips(tokens, next);
  }
  return places.has(tokens.length);
}

function accepts({ byte }: Token, octet: number): boolean {
  if (byte === ANY_BYTE) return true;
  return byte === NOT_SLASH ? octet !== SLASH : octet === byte;
}

/** A repeated token may also stand for nothing. A set that is walked takes in what is added to it on the way. */
function withSkips(tokens: readonly Token[], places: Set<number>): Set<number> {
  for (const place of places) if (tokens[place]?.repeat) places.add(place + 1);
  return places;
}
