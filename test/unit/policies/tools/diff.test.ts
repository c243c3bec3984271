import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { DigestSet } from '../../../../policies/digests/digest-set.ts';
import { parsePolicy } from '../../../../policies/language/parse.ts';
import { diffPolicies, setsToCompare } from '../../../../policies/tools/diff.ts';
import { digestSet } from '../../cli/policy/harness.ts';

const [A, B, C] = ['aa', 'bb', 'cc'].map((octet) => octet.repeat(32));
const pem = () =>
  JSON.stringify(
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' }),
  );
const [KEY, OTHER_KEY] = [pem(), pem()];
const FILES = `files: { /usr/bin/true: [${A}] }`;

function policy(changes: Readonly<Record<string, string>> = {}) {
  const lines: Record<string, string> = {
    assay: 'policy/v1',
    name: 'web',
    freshness: '{ interval: 30s, trust-for: 5m }',
    reaction: 'ban',
    pcrs: '{ bank: sha256, require: 0-2 }',
    ...changes,
  };
  const text = Object.entries(lines).map(([key, value]) => `${key}: ${value}\n`);
  return parsePolicy(text.join(''));
}

const ima = (more: string) => policy({ ima: `{ ${FILES}, ${more} }` });
const pcrs = (more: string) => policy({ pcrs: `{ bank: sha256, require: 0-2, ${more} }` });
const allowing = (...sets: readonly DigestSet[]) =>
  policy({ ima: `{ allow: [${sets.map(({ id }) => id).join()}] }` });
const byId = (...sets: readonly DigestSet[]) => new Map(sets.map((set) => [set.id, set]));

const NOTHING = { allowed: [], forbidden: [], settings: [], packages: [], files: [] };

describe('diffPolicies', () => {
  test('what changes no verdict is no difference', () => {
    const before = policy({ ima: `{ ${FILES}, exclude: [/var/log/**, /var/log/app/*] }`, description: 'a' });
    const after = policy({ ima: `{ ${FILES}, exclude: [/var/log/**] }`, name: 'other' });
    expect(diffPolicies(before, after)).toEqual(NOTHING);
    expect(diffPolicies(after, before)).toEqual(NOTHING);
  });

  // Each is looked at both ways: what is allowed in one direction is forbidden in the other.
  test.each([
    [
      'a PCR value more',
      pcrs(`values: { 7: { any-of: [${A}] } }`),
      pcrs(`values: { 7: { any-of: [${A}, ${B}] } }`),
      [['pcr', `PCR 7: sha256:${B}`]],
    ],
    [
      'a PCR that may have any value',
      pcrs(`values: { 1: { any-of: [${A}] } }`),
      policy(),
      [['pcr', `PCR 1: any value but sha256:${A}`]],
    ],
    [
      'two rules for one PCR, of which both must hold',
      pcrs(`values: { 7: { any-of: [${B}] } }`),
      pcrs(`values: { 7: { any-of: [${B}, ${A}] }, "07": { id: more, any-of: [${A}, ${B}, ${C}] } }`),
      [['pcr', `PCR 7: sha256:${A}`]],
    ],
    [
      'a PCR that is not quoted',
      policy({ pcrs: '{ bank: sha256, require: "0-2, 14" }' }),
      policy(),
      [['quote', 'a quote without PCR 14']],
    ],
    ['match: anywhere', ima('match: path'), ima('match: anywhere'), [['match', /at any path/]]],
    ['kexec', ima('kexec: refuse'), ima('kexec: allow'), [['kexec', /by kexec/]]],
    [
      'an exclusion',
      ima('exclude: [/var/log/*]'),
      ima('exclude: [/var/log/**]'),
      [['exclude', 'any bytes at /var/log/** (exclude)']],
    ],
    [
      'an accepted violation',
      ima('violations: { accept: [] }'),
      ima('violations: { accept: [/var/x] }'),
      [['violations', 'changes in use at /var/x (violations)']],
    ],
    [
      'a path more for a key, under another id',
      ima(`keys: [{ id: a, key: ${KEY}, paths: [/opt/a/**] }]`),
      ima(`keys: [{ id: b, key: ${KEY}, paths: [/opt/a/x, /opt/a/**, /opt/b/*] }]`),
      [['key', /^files at \/opt\/b\/\* signed by b \(sha256:[0-9a-f]{64}\)$/]],
    ],
    [
      'a key in a keyring',
      ima(`keyrings: { .ima: { keys: [${A}], paths: [/opt/**] } }`),
      ima(`keyrings: { .ima: { keys: [${A}, ${B}], paths: [/opt/**, /srv/*] } }`),
      [
        ['keyring', `keyring .ima: key ${B}`],
        ['keyring', 'files at /srv/* signed by keys of keyring .ima'],
      ],
    ],
    [
      'any key in a keyring',
      ima(`keyrings: { .ima: { keys: [${A}] } }`),
      ima('keyrings: { .ima: { keys: any } }'),
      [['keyring', 'keyring .ima: key any']],
    ],
    [
      'an IMA policy that need not be measured',
      ima(`measured-policy: { /usr/bin/true: [${A}] }`),
      ima('kexec: refuse'),
      [['policy', 'any IMA policy, or none that is measured, at /usr/bin/true']],
    ],
    ['a buffer', ima('buffers: {}'), ima('buffers: { x: any }'), [['buffer', 'buffer x: anything']]],
    [
      'a buffer with any content',
      ima(`buffers: { x: [${A}] }`),
      ima('buffers: { x: any }'),
      [['buffer', `buffer x: anything but ${A}`]],
    ],
    [
      'a buffer with other content',
      ima(`buffers: { x: [${A}] }`),
      ima(`buffers: { x: [${B}, ${A}] }`),
      [['buffer', `buffer x: ${B}`]],
    ],
  ] as const)('%s', (_name, stricter, weaker, grants) => {
    const expected = grants.map(([what, message]) => ({
      what,
      message: typeof message === 'string' ? message : expect.stringMatching(message),
    }));
    expect(diffPolicies(stricter, weaker)).toEqual({ ...NOTHING, allowed: expected });
    expect(diffPolicies(weaker, stricter)).toEqual({ ...NOTHING, forbidden: expected });
  });

  test('without the section ima any file passes, and fewer PCRs are quoted', () => {
    const { allowed, files } = diffPolicies(ima('kexec: allow'), policy());
    expect(allowed.map(({ what }) => what)).toEqual([...new Array(8).fill('quote'), 'ima']);
    expect(files).toEqual([]);
  });

  test('a key in place of another one under its id is told on both sides', () => {
    const keyed = (key: string | undefined) => ima(`keys: [{ id: a, key: ${key}, paths: [/opt/a/**] }]`);
    const { allowed, forbidden } = diffPolicies(keyed(KEY), keyed(OTHER_KEY));
    expect([allowed.length, forbidden.length]).toEqual([1, 1]);
    expect(allowed[0]?.message).not.toBe(forbidden[0]?.message);
  });

  test('a way back from a ban is weaker than none, and than one that takes longer', () => {
    const [none, slow, fast] = [
      policy(),
      policy({ recovery: '{ reboot: 3 }' }),
      policy({ recovery: '{ reboot: 1 }' }),
    ];
    const effects = (before: typeof none, after: typeof none) =>
      diffPolicies(before, after).settings.map(({ what, effect }) => [what, effect]);
    expect(effects(none, slow)).toEqual([['recovery', 'weaker']]);
    expect(effects(slow, fast)).toEqual([['recovery', 'weaker']]);
    expect(effects(fast, slow)).toEqual([['recovery', 'stricter']]);
    expect(effects(slow, none)).toEqual([['recovery', 'stricter']]);
    expect(effects(slow, slow)).toEqual([]);
  });

  test('freshness and reaction say which way they go', () => {
    const weaker = policy({ freshness: '{ interval: 90s, trust-for: 1h }', reaction: 'report' });
    expect(diffPolicies(policy(), weaker).settings).toEqual([
      { what: 'interval', from: '30s', to: '90s', effect: 'weaker' },
      { what: 'trust-for', from: '5m', to: '1h', effect: 'weaker' },
      { what: 'reaction', from: 'ban', to: 'report', effect: 'weaker' },
    ]);
    expect(diffPolicies(weaker, policy()).settings.map(({ effect }) => effect)).toEqual(
      new Array(3).fill('stricter'),
    );
  });

  test('another bank makes all values others', () => {
    const after = policy({ pcrs: `{ bank: sha512, require: 0-2, values: { 7: { any-of: [${A}${A}] } } }` });
    const { settings, allowed, forbidden } = diffPolicies(pcrs(`values: { 7: { any-of: [${A}] } }`), after);
    expect(settings).toEqual([{ what: 'bank', from: 'sha256', to: 'sha512', effect: 'other' }]);
    expect(allowed).toEqual([{ what: 'pcr', message: `PCR 7: sha512:${A}${A}` }]);
    expect(forbidden).toEqual([{ what: 'pcr', message: `PCR 7: sha256:${A}` }]);
  });
});

describe('files by package', () => {
  const old = digestSet([
    { path: '/usr/bin/curl', digest: 1, from: 'curl 8.5.0-1' },
    { path: '/usr/lib/libcurl.so', digest: 2, from: 'curl 8.5.0-1' },
    { path: '/usr/share/curl', digest: 3, from: 'curl 8.5.0-1' },
    { path: '/usr/bin/gone', digest: 4, from: 'gone 1' },
    { path: '/srv/changed', digest: 5 },
    { path: '/srv/removed', digest: 6 },
  ]);
  const next = digestSet([
    { path: '/usr/bin/curl', digest: 11, from: 'curl 8.5.0-2' },
    { path: '/usr/lib/libcurl.so', digest: 12, from: 'curl 8.5.0-2' },
    { path: '/usr/share/curl', digest: 3, from: 'curl 8.5.0-2' },
    { path: '/usr/bin/new', digest: 14, from: 'new 1' },
    { path: '/srv/changed', digest: 15 },
    { path: '/srv/added', digest: 16 },
  ]);
  const change = (kind: string, name: string, counts: object) => ({
    ...{ kind, name, arch: 'amd64' },
    ...{ from: [], to: [], ...counts },
  });

  test('packages changed, added and removed, and files of none', () => {
    const result = diffPolicies(allowing(old), allowing(next), byId(old, next));
    expect(result.packages).toEqual([
      change('changed', 'curl', {
        ...{ from: ['8.5.0-1'], to: ['8.5.0-2'] },
        ...{ files: 2, allowed: 2, forbidden: 2 },
      }),
      change('removed', 'gone', { from: ['1'], files: 1, allowed: 0, forbidden: 1 }),
      change('added', 'new', { to: ['1'], files: 1, allowed: 1, forbidden: 0 }),
    ]);
    expect(result.files).toEqual([
      { kind: 'added', path: '/srv/added' },
      { kind: 'changed', path: '/srv/changed' },
      { kind: 'removed', path: '/srv/removed' },
    ]);
  });

  test('with the old set kept nothing becomes forbidden', () => {
    const { packages, files } = diffPolicies(allowing(old), allowing(old, next), byId(old, next));
    expect(packages.map(({ name, from, to, forbidden }) => ({ name, from, to, forbidden }))).toEqual([
      { name: 'curl', from: ['8.5.0-1'], to: ['8.5.0-2'], forbidden: 0 },
      { name: 'new', from: [], to: ['1'], forbidden: 0 },
    ]);
    expect(files.map(({ kind }) => kind)).toEqual(['added', 'added']);
  });

  test('a set cut in two is the same', () => {
    const [one, two] = [
      digestSet([{ path: '/a', digest: 1, from: 'a 1' }]),
      digestSet([{ path: '/b', digest: 2 }]),
    ];
    const both = digestSet([
      { path: '/a', digest: 1, from: 'a 1' },
      { path: '/b', digest: 2 },
    ]);
    expect(diffPolicies(allowing(one, two), allowing(both), byId(one, two, both))).toEqual(NOTHING);
  });

  test('bytes that moved to another path are a difference, unless the path does not count', () => {
    const [here, there] = [digestSet([{ path: '/a', digest: 1 }]), digestSet([{ path: '/b', digest: 1 }])];
    const anywhere = (set: DigestSet) => policy({ ima: `{ allow: [${set.id}], match: anywhere }` });
    const sets = byId(here, there);
    expect(diffPolicies(allowing(here), allowing(there), sets).files).toHaveLength(2);
    expect(diffPolicies(anywhere(here), anywhere(there), sets)).toEqual(NOTHING);
  });

  test('a file that is excluded in place of its digest does not become forbidden', () => {
    const set = digestSet([{ path: '/a/b', digest: 1 }]);
    const before = policy({ ima: `{ ${FILES}, allow: [${set.id}] }` });
    const { forbidden, files, allowed } = diffPolicies(before, ima('exclude: [/a/b]'), byId(set));
    expect({ forbidden, files }).toEqual({ forbidden: [], files: [] });
    expect(allowed.map(({ what }) => what)).toEqual(['exclude']);
  });

  test('files of the document count as those of sets do', () => {
    const after = policy({ ima: `{ files: { /usr/bin/true: [${B}] } }` });
    expect(diffPolicies(ima('kexec: refuse'), after).files).toEqual([
      { kind: 'changed', path: '/usr/bin/true' },
    ]);
  });

  test('sets are needed only where they differ, and are then not left out', () => {
    expect([...setsToCompare(allowing(old), allowing(old))]).toEqual([]);
    expect([...setsToCompare(allowing(old), policy())]).toEqual([]);
    expect([...setsToCompare(allowing(old), allowing(old, next))]).toEqual([old.id, next.id]);
    expect(() => diffPolicies(allowing(old), allowing(next), byId(old))).toThrow(next.id);
  });
});

describe('boot', () => {
  const STRICT: Readonly<Record<string, string>> = {
    profile: 'shim-grub',
    'secure-boot': 'required',
    keys: `{ db: { only: [{ certificate: ${A} }], include: [{ certificate: ${A} }] } }`,
    dbx: `{ include: [${A}] }`,
    sbat: '{ shim: 4 }',
    authorities: `[{ certificate: ${A} }]`,
    applications: `{ allow: [${A}] }`,
    files: `{ allow: [${A}] }`,
    'option-roms': 'none',
    firmware: "{ versions: ['1'] }",
    'command-line': "{ any-of: ['a'], require: ['b'], forbid: ['c'] }",
  };
  const boot = (changes: Readonly<Record<string, string>> = {}) => {
    const keys = Object.entries({ ...STRICT, ...changes }).map(([key, value]) => `${key}: ${value}`);
    return policy({ boot: `{ ${keys.join(', ')} }` });
  };

  test('the same rules are no difference', () => {
    expect(diffPolicies(boot(), boot())).toMatchObject({ allowed: [], forbidden: [] });
  });

  test.each([
    [{ 'secure-boot': 'any' }, ['Secure Boot off']],
    [
      { keys: `{ db: { only: [{ certificate: ${B} }] } }` },
      [`entry of db certificate ${B}`, `db without certificate ${A}`],
    ],
    [{ dbx: `{ include: [${B}] }` }, [`dbx without image ${A}`]],
    [{ sbat: '{ shim: 3 }' }, ['shim that is not revoked below generation 4']],
    [
      { authorities: `[{ certificate: ${A} }, { owner: 77fa9abd-0359-4d32-bd60-28f4e78f784b }]` },
      ['authority owner 77fa9abd-0359-4d32-bd60-28f4e78f784b'],
    ],
    [{ applications: 'any' }, ['any application']],
    [{ applications: 'signed' }, ['any application that Secure Boot lets run']],
    [
      { applications: `{ allow: [${A}, ${B}], sets: ['sha256:${C}'] }` },
      [`application ${B}`, `applications of digest set sha256:${C}`],
    ],
    [{ files: 'any' }, ['any file']],
    [{ 'option-roms': `{ allow: [${B}] }` }, [`option ROM ${B}`]],
    [{ firmware: 'any' }, ['any firmware version']],
    [{ firmware: "{ versions: ['1', '2'] }" }, ['firmware version "2"']],
    [{ 'accept-states': "['DMA Protection Disabled']" }, ['firmware that says "DMA Protection Disabled"']],
    [{ 'command-line': 'any' }, ['any command line']],
    [{ 'command-line': "{ any-of: ['a', 'z'], require: ['b'], forbid: ['c'] }" }, ['command line "z"']],
    [{ 'command-line': "{ any-of: ['a'] }" }, ['a command line without b', 'a command line with c']],
  ] as const)('%o is told as what it allows', (change, messages) => {
    const { allowed } = diffPolicies(boot(), boot(change));
    expect(allowed.map(({ message }) => message)).toEqual(messages);
  });

  test('no section at all allows any boot', () => {
    expect(diffPolicies(boot(), policy()).allowed).toContainEqual({
      what: 'boot',
      message: 'any boot: no boot log is judged',
    });
  });
});
