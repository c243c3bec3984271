/** A byte, or one of the two classes of bytes that a wildcard stands for. */
type Octets = number | 'any' | 'not-slash';

interface Token {
  readonly octets: Octets;
  readonly repeat: boolean;
}

const SLASH = 0x2f;

/**
 * Whether each path that the pattern `inner` matches is matched by `outer` too. True is always right; false may be
 * wrong for patterns such as `/a/?*` and `/a/*?`, which mean the same.
 */
export function globCovers(outer: string, inner: string): boolean {
  if (outer === inner) return true;
  if (!inner.startsWith(literalOf(outer))) return false;
  const a = tokensOf(inner);
  const b = tokensOf(outer);
  // Row i says for each j whether the rest of `inner` from i lies within the rest of `outer` from j.
  let below: boolean[] = [];
  for (let i = a.length; i >= 0; i -= 1) {
    const row: boolean[] = new Array(b.length + 1).fill(false);
    row[b.length] = i === a.length;
    for (let j = b.length - 1; j >= 0; j -= 1) row[j] = liesWithin(a[i], b[j], j, row, below);
    below = row;
  }
  return below[0] === true;
}

/** What stands before the first wildcard. */
export function literalOf(glob: string): string {
  const wildcard = glob.search(/[*?]/);
  return wildcard < 0 ? glob : glob.slice(0, wildcard);
}

function liesWithin(
  inner: Token | undefined,
  outer: Token | undefined,
  at: number,
  row: readonly boolean[],
  below: readonly boolean[],
): boolean {
  if (!outer) return false;
  const isSkipped = outer.repeat && row[at + 1] === true;
  if (isSkipped || !inner || !isWithin(inner.octets, outer.octets)) return isSkipped;
  if (outer.repeat) return below[at] === true;
  return !inner.repeat && below[at + 1] === true;
}

function isWithin(inner: Octets, outer: Octets): boolean {
  if (outer === 'any') return true;
  return outer === 'not-slash' ? inner !== 'any' && inner !== SLASH : inner === outer;
}

function tokensOf(glob: string): Token[] {
  const parts = glob.match(/\*\*|\*|\?|[^*?]+/g) ?? [];
  return parts.flatMap((part): Token[] => {
    if (part === '**') return [{ octets: 'any', repeat: true }];
    if (part === '*' || part === '?') return [{ octets: 'not-slash', repeat: part === '*' }];
    return [...Buffer.from(part)].map((octets) => ({ octets, repeat: false }));
  });
}
