import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseSpiffeId, parseSpiffePattern, renderSpiffeId } from '../../../../core/spiffe/id.ts';

test.each([
  ['spiffe://example.org', { trustDomain: 'example.org', path: '' }],
  ['spiffe://example.org/a', { trustDomain: 'example.org', path: '/a' }],
  ['spiffe://1.2.3.4/A-b_c.d/...', { trustDomain: '1.2.3.4', path: '/A-b_c.d/...' }],
])('%s is a SPIFFE ID', (text, id) => {
  expect(parseSpiffeId(text)).toEqual(id);
  expect(renderSpiffeId(id)).toBe(text);
});

test.each([
  ['', 'does not begin'],
  ['https://example.org/a', 'does not begin'],
  ['SPIFFE://example.org/a', 'does not begin'],
  ['spiffe:///a', 'trust domain'],
  ['spiffe://Example.org/a', 'trust domain'],
  ['spiffe://example.org:8080/a', 'trust domain'],
  ['spiffe://user@example.org/a', 'trust domain'],
  ['spiffe://exämple.org/a', 'trust domain'],
  [`spiffe://${'a'.repeat(256)}/a`, 'trust domain'],
  ['spiffe://example.org/', 'segment'],
  ['spiffe://example.org/a/', 'segment'],
  ['spiffe://example.org//a', 'segment'],
  ['spiffe://example.org/./a', 'segment'],
  ['spiffe://example.org/../a', 'segment'],
  ['spiffe://example.org/a%2fb', 'segment'],
  ['spiffe://example.org/a?b', 'segment'],
  ['spiffe://example.org/a#b', 'segment'],
  ['spiffe://example.org/ä', 'segment'],
  [`spiffe://example.org/${'a'.repeat(2048)}`, 'longer'],
])('%s is none', (text, why) => {
  expect(() => parseSpiffeId(text)).toThrow(why);
});

test('every text is one ID in one spelling, or none', () => {
  const part = fc.stringMatching(/^[a-zA-Z0-9._/%-]{0,8}$/);
  fc.assert(
    fc.property(part, part, (domain, path) => {
      const text = `spiffe://${domain}/${path}`;
      try {
        expect(renderSpiffeId(parseSpiffeId(text))).toBe(text);
      } catch (error) {
        expect(error).toMatchObject({ code: 'malformed' });
      }
    }),
  );
});

describe('a pattern', () => {
  const matches = (pattern: string, id: string) => parseSpiffePattern(pattern)(parseSpiffeId(id));

  test('without a star is one ID', () => {
    expect(matches('spiffe://a.org/ops', 'spiffe://a.org/ops')).toBe(true);
    expect(matches('spiffe://a.org/ops', 'spiffe://a.org/ops/ada')).toBe(false);
    expect(matches('spiffe://a.org/ops', 'spiffe://b.org/ops')).toBe(false);
  });

  test('with a star is all below, and not its beginning', () => {
    expect(matches('spiffe://a.org/ops/*', 'spiffe://a.org/ops/ada')).toBe(true);
    expect(matches('spiffe://a.org/ops/*', 'spiffe://a.org/ops/ada/laptop')).toBe(true);
    expect(matches('spiffe://a.org/ops/*', 'spiffe://a.org/ops')).toBe(false);
    expect(matches('spiffe://a.org/ops/*', 'spiffe://a.org/opsy/ada')).toBe(false);
    expect(matches('spiffe://a.org/ops/*', 'spiffe://a.org.evil/ops/ada')).toBe(false);
    expect(matches('spiffe://a.org/*', 'spiffe://a.org/x')).toBe(true);
  });

  test('has no star elsewhere', () => {
    expect(() => parseSpiffePattern('spiffe://*/ops')).toThrow('trust domain');
    expect(() => parseSpiffePattern('spiffe://a.org/*/ops')).toThrow('segment');
    expect(() => parseSpiffePattern('spiffe://a.org/ops*')).toThrow('segment');
  });
});
