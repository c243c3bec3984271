import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseImaList } from '../../../../core/ima/binary.ts';
import type { ImaList } from '../../../../core/ima/list.ts';
import { DigestSetBuilder } from '../../../../policies/digests/build.ts';
import type { PackageRef } from '../../../../policies/digests/digest-entry.ts';
import { DigestSet } from '../../../../policies/digests/digest-set.ts';
import type { ImaPolicy } from '../../../../policies/ima-policy.ts';
import { compileGlob } from '../../../../policies/path-glob.ts';
import { evaluateImaEntries, type ImaEntriesInput } from '../../../../policies/rules/ima-entries.ts';

const VECTORS = new URL('../../../vectors/ima/', import.meta.url);
const ALLOWED: Readonly<Record<string, readonly string[]>> = JSON.parse(
  readFileSync(new URL('allowed.json', VECTORS), 'utf8'),
);
const DATE = '/usr/bin/date';

const policy: ImaPolicy = {
  allow: [setOf(ALLOWED)],
  anyPath: false,
  exclude: [],
  acceptedViolations: [],
  keys: [],
  kexec: false,
  buffers: new Map(),
  keyrings: new Map(),
  measuredPolicy: new Map(),
};

describe('lists of real boots', () => {
  test.each([
    'direct-clean-1',
    'bios-seabios',
    'ima-sig',
    'sb-off-same-disk',
    'uki-db-append',
    'ima-incremental',
  ])('%s: every file is allowed', (boot) => {
    const { findings, counts, aggregates } = judge(boot);
    expect(findings).toEqual([]);
    expect(counts.allowed).toBe(list(boot).length - 1);
    expect(aggregates).toEqual([0]);
  });

  test('ima.digest: unknown files are named', () => {
    expect(judge('ima-unknown-binary').findings).toEqual([
      {
        rule: 'ima.digest',
        message: expect.stringMatching(
          /^\/usr\/local\/bin\/unknown is sha256:153bccaa.*; the policy does not know this path$/,
        ),
        file: { path: '/usr/local/bin/unknown', entry: expect.any(Number) },
        found: expect.stringMatching(/^sha256:153bccaa/),
        remedy: expect.stringContaining('when it belongs there, import its package or SBOM'),
      },
      expect.objectContaining({
        message: expect.stringContaining('/usr/local/bin/evil.sh is sha256:819319b1'),
      }),
    ]);
  });

  test('ima.digest: a known path with other bytes is named with both', () => {
    const [finding, ...rest] = judge('ima-modified-binary').findings;
    expect(rest).toEqual([]);
    expect(finding?.message).toBe(
      `${DATE} is sha256:b0bc1e7637c74795ecfa040460c2224bbaca0e7f8e506f22684e9bfed070264f; the policy knows it as sha256:${ALLOWED[DATE]?.[0]}`,
    );
  });

  test('ima.violation: is told, and accepted where a rule says so', () => {
    const { findings } = judge('ima-violation-tomtou');
    expect(findings.map(({ rule }) => rule)).toEqual(['ima.digest', 'ima.violation']);
    expect(findings[1]?.message).toMatch(/^\/root\/f was changed while it was in use/);
    expect(findings[1]?.file).toEqual({ path: '/root/f', entry: 37 });
    const accepted = judge('ima-violation-tomtou', { acceptedViolations: [compileGlob('/root/*')] });
    expect(accepted.findings.map(({ rule }) => rule)).toEqual(['ima.digest']);
    expect(accepted.counts.violations).toBe(1);
    const other = judge('ima-violation-tomtou', { acceptedViolations: [compileGlob('/roo/*')] });
    expect(other.findings).toHaveLength(2);
  });

  test('ima.digest: SHA-1 is no evidence, even of an allowed file', () => {
    const { findings, counts } = judge('ima-legacy-sha1');
    expect(counts.refused).toBe(80);
    expect(findings[0]?.message).toMatch(/is measured with sha1, which proves nothing$/);
    expect(findings[0]?.remedy).toBe('boot the node with ima_hash=sha256');
  });

  test('of thousands of refusals fifty are told, and how many more there are', () => {
    const { findings } = judge('ima-legacy-sha1');
    expect(findings).toHaveLength(51);
    expect(findings.at(-1)).toEqual({ rule: 'ima.digest', message: 'and 30 more of this kind' });
  });

  test('buffers are allowed by name, or by name and digest', () => {
    const names = ['kernel_version', 'dm_table_load', 'dm_device_resume', 'dm_device_remove'];
    expect(judge('ima-critical-data').findings.map(({ rule }) => rule)).toEqual(
      names.map(() => 'ima.buffer'),
    );
    expect(
      judge('ima-critical-data', { buffers: new Map(names.map((name) => [name, 'any'])) }).findings,
    ).toEqual([]);
    const digest = 'dafd29f4045df78572e0fc8910a71792fb84237339d694a8b52d6c6a46c783cc';
    const one = judge('ima-critical-data', { buffers: new Map([['kernel_version', new Set([digest])]]) });
    expect(one.findings).toHaveLength(3);
    const other = judge('ima-critical-data', { buffers: new Map([['kernel_version', new Set(['00'])]]) });
    expect(other.findings[0]?.message).toBe(
      `the buffer kernel_version is sha256:${digest}, 1 others are allowed`,
    );
  });

  test('a buffer that is not the measured one never counts, whatever is allowed', () => {
    const changed = Uint8Array.from(bytesOf('ima-critical-data'));
    const at =
      Buffer.from(changed).indexOf('5.10.') >= 0
        ? Buffer.from(changed).indexOf('5.10.')
        : Buffer.from(changed).indexOf('6.1.');
    changed[at] = 0x39;
    const findings = evaluate(parseImaList(changed), {
      buffers: new Map([['kernel_version', 'any']]),
    }).findings;
    expect(findings[0]?.message).toMatch(/^the buffer kernel_version is not the one that was measured$/);
  });
});

describe('a rule', () => {
  test('ima.exclude: leaves files unjudged, and only those', () => {
    const { counts, findings } = judge('ima-unknown-binary', { exclude: [compileGlob('/usr/local/**')] });
    expect(findings).toEqual([]);
    expect(counts.excluded).toBe(2);
    expect(judge('ima-unknown-binary', { exclude: [compileGlob('/usr/loca/**')] }).findings).toHaveLength(2);
  });

  test('an exclusion does not hide a violation', () => {
    const { findings } = judge('ima-violation-tomtou', { exclude: [compileGlob('/root/**')] });
    expect(findings.map(({ rule }) => rule)).toEqual(['ima.violation']);
  });

  test('without a set nothing is allowed', () => {
    expect(judge('direct-clean-1', { allow: [] }).counts).toMatchObject({ allowed: 0, refused: 80 });
  });

  test('any of several sets may allow a file', () => {
    const { [DATE]: date = [], ...others } = ALLOWED;
    expect(judge('ima-incremental', { allow: [setOf(others), setOf({ [DATE]: date })] }).findings).toEqual(
      [],
    );
  });

  test('any-path: the bytes count wherever they are', () => {
    const moved = Object.fromEntries(
      Object.entries(ALLOWED).map(([path, digests]) => [`/x${path}`, digests]),
    );
    const strict = judge('direct-clean-1', { allow: [setOf(moved)] });
    expect(strict.counts.refused).toBe(80);
    expect(strict.findings[0]?.message).toMatch(/the policy allows these bytes at other paths only$/);
    expect(judge('direct-clean-1', { allow: [setOf(moved)], anyPath: true }).findings).toEqual([]);
  });

  test('a signature counts where the caller says that a key may sign', () => {
    const isSigned: ImaEntriesInput['isSigned'] = (_list, index) => index === 82;
    const { counts, findings } = evaluate(list('ima-unknown-binary'), {}, { isSigned });
    expect(counts.signed + findings.length).toBe(2);
  });

  test('judges the given entries alone', () => {
    const known = list('ima-unknown-binary');
    expect(evaluate(known, {}, { from: 0, to: 30 }).findings).toEqual([]);
    expect(evaluate(known, {}, { from: 0, to: 30 }).counts.allowed).toBe(29);
    expect(evaluate(known, {}, { from: 30, to: known.length }).findings).toHaveLength(2);
  });

  test('of a part, entries are told by their place in the whole list', () => {
    const [, whole] = judge('ima-violation-tomtou').findings;
    const [, part] = evaluate(list('ima-violation-tomtou'), {}, { firstEntry: 1000 }).findings;
    expect(part?.file?.entry).toBe((whole?.file?.entry ?? 0) + 1000);
  });
});

test('packages of both sides are named when a set knows them', () => {
  const curl = (version: string): PackageRef => ({ name: 'coreutils', version, arch: 'amd64' });
  const changed = 'b0bc1e7637c74795ecfa040460c2224bbaca0e7f8e506f22684e9bfed070264f';
  const old = setOf({ [DATE]: ALLOWED[DATE] ?? [] }, curl('9.1-1'));
  const { [DATE]: _date, ...others } = ALLOWED;
  const { findings } = evaluate(
    list('ima-modified-binary'),
    { allow: [setOf(others), old] },
    { known: [setOf({ [DATE]: [changed] }, curl('9.1-2'))] },
  );
  expect(findings[0]?.message).toBe(
    `${DATE} is sha256:${changed}, of coreutils 9.1-2 amd64; the policy knows it of coreutils 9.1-1 amd64`,
  );
  expect(findings[0]).toMatchObject({
    file: {
      path: DATE,
      package: 'coreutils 9.1-2 amd64',
      expectedPackages: ['coreutils 9.1-1 amd64'],
    },
    found: `sha256:${changed}`,
    expected: [`sha256:${ALLOWED[DATE]?.[0]}`],
    remedy: 'name the digest set that has coreutils 9.1-2 amd64 in ima.allow, or take it off the node',
  });
});

test('a path that would draw on a terminal is escaped', () => {
  const bytes = Buffer.from(bytesOf('ima-unknown-binary'));
  bytes.write('\x1b[2Jxx', bytes.indexOf('unknown'), 'latin1');
  const [finding] = evaluate(parseImaList(Uint8Array.from(bytes)), {}).findings;
  expect(finding?.message).not.toContain('\x1b');
  expect(finding?.message).toContain('[2Jxx');
});

function judge(boot: string, changes: Partial<ImaPolicy> = {}) {
  return evaluate(list(boot), changes);
}

function evaluate(measured: ImaList, changes: Partial<ImaPolicy>, more: Partial<ImaEntriesInput> = {}) {
  return evaluateImaEntries({
    policy: { ...policy, ...changes },
    list: measured,
    from: 0,
    to: measured.length,
    ...more,
  });
}

function list(boot: string): ImaList {
  return parseImaList(bytesOf(boot));
}

function bytesOf(boot: string): Uint8Array {
  return Uint8Array.from(readFileSync(new URL(`${boot}/binary_runtime_measurements`, VECTORS)));
}

function setOf(files: Readonly<Record<string, readonly string[]>>, from?: PackageRef): DigestSet {
  const builder = new DigestSetBuilder();
  for (const [path, digests] of Object.entries(files)) {
    for (const hex of digests) {
      const entry = {
        path: Uint8Array.from(Buffer.from(path)),
        algorithm: 'sha256' as const,
        digest: Uint8Array.from(Buffer.from(hex, 'hex')),
      };
      builder.add({ ...entry, ...(from ? { package: from } : {}) });
    }
  }
  return DigestSet.parse(builder.build());
}
