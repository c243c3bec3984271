import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DigestSetBuilder } from '../../../../policies/digests/build.ts';
import { DigestSet } from '../../../../policies/digests/digest-set.ts';
import { compileGlob } from '../../../../policies/path-glob.ts';
import { globCovers } from '../../../../policies/tools/glob-covers.ts';
import { lintPolicy } from '../../../../policies/tools/lint.ts';

const VALUE = 'ab'.repeat(32);
const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const PEM = JSON.stringify(publicKey.export({ type: 'spki', format: 'pem' }));

function document(changes: Readonly<Record<string, string>> = {}): string {
  const lines: Record<string, string> = {
    assay: 'policy/v1',
    name: 'web',
    freshness: '{ interval: 30s, trust-for: 5m }',
    reaction: 'ban',
    pcrs: `{ bank: sha256, require: 0-2, values: { 7: { any-of: [${VALUE}] } } }`,
    ...changes,
  };
  return Object.entries(lines)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('');
}

const ima = (more: string) => ({ ima: `{ files: { /usr/bin/true: [${VALUE}] }, ${more} }` });

const started = (more: string) => ({
  pcrs: '{ bank: sha256, require: 0-9 }',
  boot: `{ profile: shim-grub, command-line: { forbid: [init=*] }, option-roms: any, ${more} }`,
});

function codes(changes: Readonly<Record<string, string>>, sets: readonly DigestSet[] = []): string[] {
  return lintPolicy({ text: document(changes), file: 'web.yaml', sets }).map(({ code }) => code);
}

function digestSet(paths: readonly string[], kind = 'deb'): DigestSet {
  const builder = new DigestSetBuilder();
  builder.addSource({ kind });
  for (const path of paths)
    builder.add({ path: Buffer.from(path), algorithm: 'sha256', digest: new Uint8Array(32).fill(1) });
  return DigestSet.parse(builder.build());
}

describe('lintPolicy', () => {
  test('a careful policy has no warnings', () => {
    const careful = ima(
      `exclude: [/var/log/**, /usr/share/doc/**, /etc/mtab], violations: { accept: [/var/log/**] },
      keys: [{ id: vendor, key: ${PEM}, paths: [/opt/vendor/**, /usr/lib/vendor/**] }],
      buffers: { kernel_version: any, kexec-cmdline: [${VALUE}] }`,
    );
    expect(codes(careful)).toEqual([]);
  });

  test.each([
    ['reaction.report', { reaction: 'report' }],
    ['freshness.long', { freshness: '{ interval: 30s, trust-for: 61m }' }],
    [
      'pcr.zero',
      { pcrs: `{ bank: sha256, require: 0-2, values: { 7: { any-of: ["${'0'.repeat(64)}"] } } }` },
    ],
    ['pcr.ones', { pcrs: `{ bank: sha256, require: 0-2, values: { 17: { any-of: [${'f'.repeat(64)}] } } }` }],
    ['match.anywhere', ima('match: anywhere')],
    ['buffer.any', ima('buffers: { kexec-cmdline: any }')],
    ['buffer.any', ima('buffers: { .ima: any }')],
    ['keyring.any', ima('keyrings: { .ima: { keys: any, paths: [/opt/**] } }')],
    ['key.everything', ima(`keys: [{ id: all, key: ${PEM}, paths: [/usr/**, /opt/**] }]`)],
    [
      'key.excluded',
      ima(`exclude: [/var/app/**], keys: [{ id: app, key: ${PEM}, paths: [/var/app/bin/*] }]`),
    ],
    ['exclude.duplicate', ima('exclude: [/var/log/**, /var/log/**]')],
    ['exclude.shadowed', ima('exclude: [/var/log/app/*.log, /var/log/**]')],
    ['violations.wide', ima('violations: { accept: [/usr/lib/**] }')],
    ['violations.program', ima('violations: { accept: [/usr/bin/python3] }')],
    ['set.not-given', { ima: `{ allow: [sha256:${VALUE}, ${digestSet(['/a']).id}] }` }, [digestSet(['/a'])]],
    ['set.unused', ima('kexec: refuse'), [digestSet(['/a'])]],
    [
      'set.no-images',
      started(`files: any, applications: { sets: ['${digestSet(['/a']).id}'] }`),
      [digestSet(['/a'])],
    ],
    [
      'set.not-given',
      started(`applications: { sets: [sha256:${VALUE}] }, files: { sets: ['${digestSet(['/a']).id}'] }`),
      [digestSet(['/a'])],
    ],
  ] satisfies [string, Record<string, string>, DigestSet[]?][])('%s', (code, changes, sets = []) => {
    expect(codes(changes, sets)).toEqual([code]);
  });

  test.each([
    ...['/usr/**', '/bin/*', '/lib*/**', '/sbin/**', '/etc/**', '/boot/**', '/opt/**', '/u*/bin/python3'],
    ...['/usr/lib/python3/**', '/lib/modules/*/extra/*.ko', '/var/**', '/var/lib/docker/**', '/opt/*/bin/*'],
  ])('%s is too wide to be excluded', (glob) => {
    expect(codes({ ima: `{ files: { /x: [${VALUE}] }, exclude: ["${glob}"] }` })).toEqual(['exclude.wide']);
  });

  test.each([
    ['/usr/bin/curl', 'exclude.program'],
    ['/tmp/**', 'exclude.writable'],
    ['/home/*/cache/*', 'exclude.writable'],
    ['/dev/shm/one', 'exclude.writable'],
    ['/run/**', 'exclude.writable'],
  ])('%s is told as %s', (glob, code) => {
    expect(codes(ima(`exclude: ["${glob}"]`))).toEqual([code]);
  });

  test('where no set was given none is missed', () => {
    expect(codes({ ima: `{ allow: [sha256:${VALUE}] }` })).toEqual([]);
  });

  test('of two exclusions that cover each other only the second one is told', () => {
    const twins = ima('exclude: ["/var/log/a**", "/var/log/a***"]');
    const told = lintPolicy({ text: document(twins), file: 'web.yaml' });
    expect(told.map(({ code, key }) => [code, key])).toEqual([['exclude.shadowed', 'ima.exclude.1']]);
  });

  test('files that an exclusion hides are counted, those of sets that are not named are not', () => {
    const set = digestSet(['/srv/app/a', '/srv/app/b', '/srv/other']);
    const other = digestSet(['/srv/app/c']);
    const text = document({ ima: `{ allow: [${set.id}], exclude: [/srv/app/**, /srv/cache/**] }` });
    const [hides, unused, ...rest] = lintPolicy({ text, file: 'x', sets: [set, other] }).sort((a, b) =>
      a.code < b.code ? -1 : 1,
    );
    expect(hides).toMatchObject({ code: 'exclude.hides', key: 'ima.exclude.0' });
    expect(hides?.problem).toMatch(/hides 2 files .*such as \/srv\/app\/[ab]:/);
    expect([unused?.code, ...rest]).toEqual(['set.unused']);
  });

  test('a set that was learned, and one that the verifier lacks', () => {
    const [fine, learned] = [digestSet(['/a']), digestSet(['/b'], 'learned')];
    const text = document({ ima: `{ allow: [${fine.id}, ${learned.id}] }` });
    const warnings = lintPolicy({
      ...{ text, file: 'x', sets: [fine, learned] },
      stored: new Set([learned.id]),
    });
    expect(warnings.map(({ code, key }) => [code, key])).toEqual([
      ['set.not-stored', 'ima.allow.0'],
      ['set.learned', 'ima.allow.1'],
    ]);
  });

  test('warnings come in the order of the document, with line and column', () => {
    const text = document({ reaction: 'report', ...ima('\n  exclude: [/usr/**]') });
    const warnings = lintPolicy({ text, file: 'a:1:2.yaml' });
    expect(warnings.map(({ code, line, column }) => `${line}:${column} ${code}`)).toEqual([
      '4:11 reaction.report',
      '7:13 exclude.wide',
      '7:13 exclude.hides',
    ]);
  });

  test('what is no policy is refused', () => {
    expect(() => lintPolicy({ text: 'name: web', file: 'web.yaml' })).toThrow(/policy web\.yaml has/);
  });
});

describe('globCovers', () => {
  test.each([
    ['/a/**', '/a/b/*', true],
    ['/a/**', '/a/**', true],
    ['/a/*', '/a/?', true],
    ['/a/b**', '/a/b/c/*.log', true],
    ['/a/*', '/a/**', false],
    ['/a/?', '/a/*', false],
    ['/a/**', '/a**', false],
    ['/a?**', '/a**b', false],
    ['/a/*.log', '/a/*', false],
    ['/a/b', '/a/?', false],
    ['/a/*b', '/a/b*', false],
  ])('%s over %s: %s', (outer, inner, expected) => {
    expect(globCovers(outer, inner)).toBe(expected);
  });

  test('what is covered matches no path that the other one does not', () => {
    const glob = fc
      .array(fc.constantFrom('a', 'b', '/', '?', '*', '**'), { maxLength: 6 })
      .map((parts) => `/a${parts.join('')}`);
    const path = fc
      .array(fc.constantFrom('a', 'b', '/'), { maxLength: 6 })
      .map((parts) => `/a${parts.join('')}`);
    fc.assert(
      fc.property(glob, glob, path, (outer, inner, text) => {
        fc.pre(globCovers(outer, inner) && compileGlob(inner).matches(Buffer.from(text)));
        expect(compileGlob(outer).matches(Buffer.from(text))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe('boot', () => {
  const boot = (rules: string) => codes({ boot: `{ option-roms: any, ${rules} }` });

  test('a strict section has no remark', () => {
    const strict = `profile: shim-grub, authorities: [{ certificate: ${VALUE} }], applications: signed, files: any, command-line: { forbid: ['init=*'] }`;
    expect(boot(strict)).toEqual([]);
  });

  test.each([
    [
      'boot.applications',
      "profile: shim-grub, applications: any, files: any, command-line: { forbid: ['init=*'] }",
    ],
    ['boot.authorities', 'profile: uki, applications: signed, command-line: any'],
    [
      'boot.files',
      `profile: shim-grub, secure-boot: any, applications: { allow: [${VALUE}] }, files: any, command-line: { forbid: ['init=*'] }`,
    ],
    [
      'boot.command-line',
      `profile: shim-grub, applications: { allow: [${VALUE}] }, files: any, command-line: any`,
    ],
  ])('%s', (code, rules) => {
    expect(boot(rules)).toEqual([code]);
  });
});
