import { describe, expect, test } from 'vitest';
import { concat } from '../../../../core/bytes/writer.ts';
import { parseImaList } from '../../../../core/ima/binary.ts';
import {
  aggregateOf,
  bootAggregates,
  checkBootAggregate,
  kernelVersionOf,
} from '../../../../core/ima/boot-aggregate.ts';
import { imaEntry } from '../../../../core/ima/entry.ts';
import type { HashName } from '../../../../core/tpm/constants.ts';
import { binaryList, boot, bootNames, unhex } from './vectors.ts';

/** PCRs of a boot, without those left out. */
function pcrsOf(name: string, without: readonly number[] = []) {
  const banks = Object.entries(boot(name).pcrs).map(([bank, values]) => {
    const kept = Object.entries(values).filter(([pcr]) => !without.includes(Number(pcr)));
    return [
      bank === 'sha1' ? 'sha1' : 'sha256',
      new Map(kept.map(([pcr, value]) => [Number(pcr), unhex(value)])),
    ] as const;
  });
  return new Map<HashName, Map<number, Uint8Array>>(banks);
}

const digestOf = (name: string) => imaEntry(parseImaList(binaryList(name)), 0).digest;
const LINUX_6_1 = { major: 6, minor: 1 };

describe('boot_aggregate of real boots', () => {
  for (const name of bootNames) {
    test(`ima.aggregate: ${name}: is that of its PCRs`, () => {
      const sha1 = digestOf(name)?.algo === 'sha1';
      const fits = { verdict: 'fits', bank: sha1 ? 'sha1' : 'sha256', last: sha1 ? 7 : 9 };
      expect(checkBootAggregate(digestOf(name), pcrsOf(name), LINUX_6_1)).toEqual(fits);
      expect(checkBootAggregate(digestOf(name), pcrsOf(name))).toEqual(fits);
      expect(bootAggregates(parseImaList(binaryList(name)))).toEqual([0]);
    });
  }

  test('ima.aggregate: of another boot differs', () => {
    const verdict = checkBootAggregate(digestOf('direct-clean-1'), pcrsOf('sb-off-same-disk'));
    expect(verdict).toEqual({ verdict: 'differs', bank: 'sha256' });
  });

  test('Linux before 5.8 leaves PCR 8 and 9 out, newer ones do not', () => {
    const pcrs = pcrsOf('direct-clean-1');
    const value = aggregateOf('sha256', pcrs.get('sha256') ?? new Map(), 7) ?? new Uint8Array();
    const digest = { algo: 'sha256', type: 'ima', value } as const;
    const fits = { verdict: 'fits', bank: 'sha256', last: 7 };
    expect(checkBootAggregate(digest, pcrs, { major: 5, minor: 7 })).toEqual(fits);
    expect(checkBootAggregate(digest, pcrs, { major: 4, minor: 18 })).toEqual(fits);
    expect(checkBootAggregate(digest, pcrs)).toEqual(fits);
    expect(checkBootAggregate(digest, pcrs, { major: 5, minor: 8 }).verdict).toBe('differs');
    expect(checkBootAggregate(digest, pcrs, LINUX_6_1).verdict).toBe('differs');
  });

  test('PCRs that were not quoted leave it unknown, never fitting', () => {
    const digest = digestOf('direct-clean-1');
    expect(checkBootAggregate(digest, pcrsOf('direct-clean-1', [9]))).toEqual({
      verdict: 'unknown',
      missing: 'PCR 0 to 9 of sha256',
    });
    expect(checkBootAggregate(digest, new Map())).toMatchObject({ verdict: 'unknown' });
    expect(checkBootAggregate(undefined, pcrsOf('direct-clean-1'))).toMatchObject({ verdict: 'unknown' });
    const md5 = { algo: 'md5', type: 'ima', value: new Uint8Array(16) } as const;
    expect(checkBootAggregate(md5, pcrsOf('direct-clean-1'))).toMatchObject({ missing: 'a bank of md5' });
  });

  test('the second one of a list is found', () => {
    const bytes = binaryList('direct-clean-1');
    expect(bootAggregates(parseImaList(concat(bytes, bytes)))).toEqual([0, 81]);
  });
});

test.each([
  ['6.1.0-56-cloud-amd64', { major: 6, minor: 1 }],
  ['5.8', { major: 5, minor: 8 }],
  ['4.18.0-553.el8_10.x86_64', { major: 4, minor: 18 }],
  ['6.12+deb13', { major: 6, minor: 12 }],
  ['6', undefined],
  ['6.x', undefined],
  ['6.1x', undefined],
])('version of the kernel %s', (release, version) => {
  expect(kernelVersionOf(release)).toEqual(version);
});
