import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileGlob } from '../../../policies/path-glob.ts';

const matches = (glob: string, path: string) => compileGlob(glob).matches(Buffer.from(path));

describe('a path glob', () => {
  test.each([
    ['/tmp/**', '/tmp/x'],
    ['/tmp/**', '/tmp/a/b/c'],
    ['/tmp/**', '/tmp/'],
    ['/usr/bin/curl', '/usr/bin/curl'],
    ['/var/lib/*/tmp', '/var/lib/x/tmp'],
    ['/var/lib/*/tmp', '/var/lib//tmp'],
    ['/opt/**/bin/*', '/opt/a/b/bin/c'],
    ['/opt/**/bin/*', '/opt//bin/'],
    ['/opt/v?/x', '/opt/v1/x'],
    ['/srv/*.log', '/srv/a.b.log'],
    ['/srv/ü*', '/srv/üx'],
    ['/srv/.x+(y)[z]', '/srv/.x+(y)[z]'],
  ])('%s covers %s', (glob, path) => {
    expect(matches(glob, path)).toBe(true);
  });

  test.each([
    ['/tmp/**', '/tmp'],
    ['/tmp/**', '/tmpevil'],
    ['/tmp/**', '/tmpevil/x'],
    ['/tmp/**', '/var/tmp/x'],
    ['/tmp/*', '/tmp/a/b'],
    ['/usr/bin/curl', '/usr/bin/curl2'],
    ['/usr/bin/curl', '/usr/bin/cur'],
    ['/var/lib/*/tmp', '/var/lib/x/y/tmp'],
    ['/var/lib/*/tmp', '/var/lib/x/tmp/y'],
    ['/opt/v?/x', '/opt/v/x'],
    ['/opt/v?/x', '/opt/v//x'],
    ['/srv/.x', '/srv/ax'],
    ['/opt/**/bin/*', '/opt/bin'],
  ])('ima.exclude: %s does not cover %s', (glob, path) => {
    expect(matches(glob, path)).toBe(false);
  });

  test.each([
    ['tmp/**', 'absolute'],
    ['', 'absolute'],
    ['/**', 'before its first wildcard'],
    ['/*', 'before its first wildcard'],
    [`/${'x'.repeat(600)}`, 'at most 512 bytes'],
  ])('%s is refused', (glob, message) => {
    expect(() => compileGlob(glob)).toThrow(message);
  });

  test('says what the regular expression of the same meaning says', () => {
    const piece = fc.constantFrom('a', 'b', '/', '*', '**', '?');
    const path = fc.stringMatching(/^\/x[ab/]{0,12}$/);
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), path, (pieces, subject) => {
        const glob = `/x${pieces.join('')}`;
        const source = glob.replace(
          /\*\*|\*|\?/g,
          (star) => ({ '**': '[^]*', '*': '[^/]*', '?': '[^/]' })[star] ?? '',
        );
        expect(matches(glob, subject)).toBe(new RegExp(`^${source}$`).test(subject));
      }),
      { numRuns: 3000 },
    );
  });

  test('a pattern of many stars against a path of many letters ends', () => {
    expect(matches(`/x${'*a'.repeat(100)}`, `/x${'a'.repeat(4000)}b`)).toBe(false);
  });
});
