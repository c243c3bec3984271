import { AssayError } from '../errors.ts';

/** A SPIFFE ID (SPIFFE-ID, 2). */
export interface SpiffeId {
  readonly trustDomain: string;
  /** Empty for a trust domain itself, else it begins with a slash. */
  readonly path: string;
}

const MAX_ID_BYTES = 2048;
const SCHEME = 'spiffe://';
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
const SEGMENT = /^[a-zA-Z0-9._-]+$/;

/**
 * Reads a SPIFFE ID in its one spelling: lower-case scheme and trust domain, no port, user, query or percent signs, and
 * no empty or relative segments (SPIFFE-ID, 2.1 to 2.4).
 *
 * @throws {AssayError} `malformed`
 */
export function parseSpiffeId(text: string): SpiffeId {
  const refuse = (problem: string) =>
    new AssayError('malformed', `${JSON.stringify(text.slice(0, MAX_ID_BYTES))} is no SPIFFE ID: ${problem}`);
  if (text.length > MAX_ID_BYTES) throw refuse(`it is longer than ${MAX_ID_BYTES} characters`);
  if (!text.startsWith(SCHEME)) throw refuse(`it does not begin with ${SCHEME}`);
  const rest = text.slice(SCHEME.length);
  const slash = rest.indexOf('/');
  const trustDomain = slash === -1 ? rest : rest.slice(0, slash);
  const path = slash === -1 ? '' : rest.slice(slash);
  if (!TRUST_DOMAIN.test(trustDomain))
    throw refuse('its trust domain is not of lower-case letters, digits, dots, dashes and underscores');
  for (const segment of path.split('/').slice(1)) {
    if (segment === '.' || segment === '..' || !SEGMENT.test(segment))
      throw refuse(`a segment of its path is ${JSON.stringify(segment)}`);
  }
  return { trustDomain, path };
}

export function renderSpiffeId({ trustDomain, path }: SpiffeId): string {
  return `${SCHEME}${trustDomain}${path}`;
}

/**
 * A set of SPIFFE IDs, as an administrator writes it: one ID, or an ID followed by `/*` for all below it.
 *
 * @throws {AssayError} `malformed`
 */
export function parseSpiffePattern(text: string): (id: SpiffeId) => boolean {
  const isBelow = text.endsWith('/*');
  const wanted = parseSpiffeId(isBelow ? text.slice(0, -2) : text);
  return ({ trustDomain, path }) =>
    trustDomain === wanted.trustDomain &&
    (isBelow ? path.startsWith(`${wanted.path}/`) : path === wanted.path);
}
