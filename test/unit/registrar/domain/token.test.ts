import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toHex } from '../../../../core/bytes/encoding.ts';
import { joinCommand, renderToken, tokenHash, tokenHashOf } from '../../../../registrar/domain/token.ts';

describe('join tokens', () => {
  test('a token is known by the hash of its 256 bits', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (secret) => {
        expect(toHex(tokenHashOf(renderToken(secret)))).toBe(toHex(tokenHash(secret)));
      }),
    );
  });

  const token = renderToken(new Uint8Array(32).fill(7));
  test.each([
    ['cut off', token.slice(0, -1)],
    ['with a space', `${token} `],
    ['without its prefix', token.slice('assay_'.length)],
    ['with stray bits at its end', `${token.slice(0, -1)}d`],
    ['empty', ''],
  ])('one %s is refused, and not repeated in the error', (_case, text) => {
    expect(() => tokenHashOf(text)).toThrow(/the join token is not one of ours/);
    try {
      tokenHashOf(text);
    } catch (error) {
      if (text.length > 10) expect(String(error)).not.toContain(text.trim().slice(6, 30));
    }
  });

  test('the line to paste', () => {
    const command = joinCommand('https://r.example:8891', renderToken(randomBytes(32)), 'sha256:00ff');
    expect(command).toMatch(
      /^assay-agent join https:\/\/r\.example:8891 --token assay_[A-Za-z0-9_-]{43} --ca sha256:00ff$/,
    );
  });
});
