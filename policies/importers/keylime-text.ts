/** Hex of a hash or of bytes, with `0x` before it or not, in lower case; none for another text. */
export function hexOf(text: string): string[] {
  const hex = text.replace(/^0x/i, '').toLowerCase();
  return /^([0-9a-f]{2})+$/.test(hex) ? [hex] : [];
}

// What Python's re.escape escapes, and no more, is a literal character behind a backslash.
const ESCAPED = /\\([^a-zA-Z0-9])/g;
const SPECIAL = /[\\^$|?*+()[\]{}]/;

/**
 * The one text that a regular expression of Keylime is meant for; `undefined` where it is for several. A dot that was not
 * escaped is taken as a dot, which allows less.
 */
export function literalOf(pattern: string): string | undefined {
  const parts = pattern.split(ESCAPED);
  // Odd parts are escaped characters.
  const isLiteral = parts.every((part, index) => index % 2 === 1 || !SPECIAL.test(part));
  return isLiteral ? parts.join('') : undefined;
}

/**
 * The globs that cover what a regular expression of Keylime does, which it compares with the beginning of a path; empty where
 * no glob does.
 */
export function globsOf(pattern: string): string[] {
  const [, body = '', tail = ''] = /^\^?(.*?)(\/\.\*|\.\*|\$)?\$?$/s.exec(pattern) ?? [];
  const literal = literalOf(body);
  if (literal === undefined || !literal.startsWith('/') || /[*?\s]/.test(literal)) return [];
  if (tail === '/.*') return [`${literal}/**`];
  if (tail === '$') return [literal];
  return [
    literal.endsWith('/') ? `${literal}**` : literal,
    ...(literal.endsWith('/') ? [] : [`${literal}/**`]),
  ];
}
