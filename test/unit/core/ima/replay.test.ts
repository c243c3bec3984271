import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toHex } from '../../../../core/bytes/encoding.ts';
import { concat } from '../../../../core/bytes/writer.ts';
import { parseImaList } from '../../../../core/ima/binary.ts';
import { imaEntry, imaTemplateData } from '../../../../core/ima/entry.ts';
import { type ImaState, imaStart, replayIma } from '../../../../core/ima/replay.ts';
import { digestSize, type HashName } from '../../../../core/tpm/constants.ts';
import {
  binaryList,
  boot,
  bootNames,
  digestNg,
  entryBytes,
  field,
  index,
  parseErrorOf,
  unhex,
  utf8,
} from './vectors.ts';

const BANKS = ['sha1', 'sha256', 'sha384', 'sha512'] as const satisfies readonly HashName[];

/** PCR 10 of a boot, for some banks or all that its TPM has. */
function quotedOf(name: string, banks?: readonly HashName[]): Map<HashName, Uint8Array> {
  const { pcrs } = boot(name);
  const has = BANKS.filter((bank) => (banks ?? BANKS).includes(bank) && pcrs[bank] !== undefined);
  return new Map(has.map((bank) => [bank, unhex(pcrs[bank]?.['10'] ?? '')]));
}

const replayBoot = (name: string, bytes = binaryList(name)) => {
  const quoted = quotedOf(name);
  return replayIma(parseImaList(bytes), imaStart(quoted.keys()), quoted);
};

describe('lists of real boots', () => {
  for (const name of bootNames) {
    test(`${name}: every bank of the TPM replays to its PCR 10, alone and together`, () => {
      const covered = { covered: boot(name).entries, heldBack: 0, wrongHashes: 0 };
      expect(replayBoot(name)).toMatchObject({ ...covered, firstWrongHash: undefined });
      const list = parseImaList(binaryList(name));
      for (const bank of quotedOf(name).keys()) {
        const quoted = quotedOf(name, [bank]);
        const replay = replayIma(list, imaStart([bank]), quoted);
        expect(replay).toMatchObject(covered);
        expect(replay.state).toEqual({ entries: list.length, pcrs: quoted });
      }
    });
  }
});

describe('changed lists', () => {
  for (const [name, { base, failing, what }] of Object.entries(index.doctored)) {
    test(`ima.prefix: ${name}: ${what}`, () => {
      if (failing.includes('parse')) {
        expect(parseErrorOf(() => parseImaList(binaryList(name))).offset).toBeGreaterThan(0);
        return;
      }
      const list = parseImaList(binaryList(name));
      const replay = replayBoot(base, list.bytes);
      if (failing.length === 0) expect(replay).toMatchObject({ covered: list.length - 1, heldBack: 1 });
      else expect(replay).toMatchObject({ covered: undefined, heldBack: list.length });
    });
  }

  test('ima.bytes: a digest that was changed without its template hash is found, and where', () => {
    const bytes = binaryList('direct-clean-1');
    const at = parseImaList(bytes).columns.digest[40] ?? 0;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    expect(replayBoot('direct-clean-1', bytes)).toMatchObject({
      covered: undefined,
      wrongHashes: 1,
      firstWrongHash: 40,
    });
  });

  test('ima.bytes: a template hash that is not that of its data does not hide behind a PCR that fits', () => {
    const bytes = binaryList('direct-clean-1');
    const at = (parseImaList(bytes).columns.start[7] ?? 0) + 4;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    const replay = replayBoot('direct-clean-1', bytes);
    expect(replay).toMatchObject({ covered: 81, wrongHashes: 1, firstWrongHash: 7 });
  });

  test('ima.violation: an entry turned into a violation does not replay', () => {
    const bytes = binaryList('direct-clean-1');
    const start = parseImaList(bytes).columns.start[9] ?? 0;
    bytes.fill(0, start + 4, start + 24);
    expect(replayBoot('direct-clean-1', bytes).covered).toBeUndefined();
  });

  test.each(['sha1', 'sha256'] as const)('a %s bank that does not fit is enough', (bank) => {
    const quoted = quotedOf('direct-clean-1').set(bank, new Uint8Array(digestSize(bank)).fill(1));
    const list = parseImaList(binaryList('direct-clean-1'));
    expect(replayIma(list, imaStart(['sha1', 'sha256']), quoted).covered).toBeUndefined();
  });
});

describe('a list that grows', () => {
  const whole = binaryList('ima-incremental');
  const part = (from: number, to: string) =>
    parseImaList(whole.subarray(from, boot(`ima-incremental/${to}`).bytes));
  const quote = (name: string) => quotedOf(`ima-incremental/${name}`);

  test('three quotes of one boot, each with the entries since the last', () => {
    let state: ImaState = imaStart(['sha1', 'sha256']);
    let offset = 0;
    for (const name of ['q1', 'q2', 'q3']) {
      const replay = replayIma(part(offset, name), state, quote(name));
      expect(replay).toMatchObject({
        heldBack: 0,
        state: { entries: boot(`ima-incremental/${name}`).entries },
      });
      state = replay.state;
      offset = boot(`ima-incremental/${name}`).bytes ?? 0;
    }
    expect(toHex(state.pcrs.get('sha256') ?? utf8(''))).toBe(boot('ima-incremental').pcrs.sha256?.['10']);
  });

  test('the list may be read long after the quote: what is behind waits', () => {
    const replay = replayIma(parseImaList(whole), imaStart(['sha1', 'sha256']), quote('q1'));
    expect(replay).toMatchObject({ covered: 81, heldBack: 111, state: { entries: 81, pcrs: quote('q1') } });
  });

  test('nothing new and the same quote: no entry is covered, and that is a match', () => {
    const { state } = replayIma(part(0, 'q1'), imaStart(['sha1', 'sha256']), quote('q1'));
    const none = parseImaList(new Uint8Array());
    expect(replayIma(none, state, quote('q1'))).toMatchObject({ covered: 0, state: { entries: 81 } });
    expect(replayIma(none, state, quote('q2')).covered).toBeUndefined();
  });

  test('ima.prefix: entries of before, shown again, do not replay behind the state', () => {
    const { state } = replayIma(part(0, 'q1'), imaStart(['sha1', 'sha256']), quote('q1'));
    expect(replayIma(part(0, 'q2'), state, quote('q2')).covered).toBeUndefined();
  });

  test('any cut of a list into two replays like the whole', () => {
    const list = parseImaList(whole);
    const quoted = quotedOf('ima-incremental', ['sha256']);
    fc.assert(
      fc.property(fc.nat(list.length), (cut) => {
        const middle = list.columns.start[cut] ?? 0;
        const head = replayIma(parseImaList(whole.subarray(0, middle)), imaStart(['sha256']), quoted);
        const tail = replayIma(parseImaList(whole.subarray(middle)), head.state, quoted);
        expect(tail).toMatchObject({ covered: list.length - cut, state: { entries: list.length } });
      }),
      { numRuns: 40 },
    );
  });
});

describe('all banks', () => {
  /** PCR 10 of a bank, entry by entry with OpenSSL. */
  function expected(bytes: Uint8Array, bank: HashName): Uint8Array {
    const list = parseImaList(bytes);
    let pcr = Buffer.alloc(digestSize(bank));
    for (let i = 0; i < list.length; i++) {
      const data = createHash(bank).update(imaTemplateData(list, i)).digest();
      const value = imaEntry(list, i).violation ? Buffer.alloc(digestSize(bank), 0xff) : data;
      pcr = createHash(bank).update(pcr).update(value).digest();
    }
    return new Uint8Array(pcr);
  }

  test.each(['ima-custom-policy-mixed', 'ima-violation-tomtou'])('%s in four banks', (name) => {
    const quoted = new Map(BANKS.map((bank) => [bank, expected(binaryList(name), bank)]));
    expect(toHex(quoted.get('sha256') ?? utf8(''))).toBe(boot(name).pcrs.sha256?.['10']);
    const replay = replayIma(parseImaList(binaryList(name)), imaStart(BANKS), quoted);
    expect(replay).toMatchObject({ covered: boot(name).entries, state: { pcrs: quoted } });
  });

  test.each(BANKS)('a list whose template hashes are %s', (hash) => {
    const data = concat(field(digestNg('sha256', new Uint8Array(32))), field(utf8('/x\0')));
    const digest = createHash(hash).update(data).digest();
    const good = entryBytes({ template: 'ima-ng', data, hash: digest });
    const bad = entryBytes({ template: 'ima-ng', data, hash: digest.fill(1, 3, 4) });
    const never = new Map([['sha512', new Uint8Array(64).fill(1)]] as const);
    const list = parseImaList(concat(good, bad), { hash });
    expect(replayIma(list, imaStart(['sha512']), never)).toMatchObject({
      covered: undefined,
      wrongHashes: 1,
      firstWrongHash: 1,
    });
  });

  test.each(BANKS)('Linux before 5.8 extends %s with a SHA-1 and zeros', (bank) => {
    const list = parseImaList(binaryList('ima-violation-tomtou'));
    let pcr = Buffer.alloc(digestSize(bank));
    for (let i = 0; i < list.length; i++) {
      const { violation, templateHash } = imaEntry(list, i);
      const value = Buffer.alloc(digestSize(bank));
      value.set(violation ? new Uint8Array(20).fill(0xff) : templateHash);
      pcr = createHash(bank).update(pcr).update(value).digest();
    }
    const quoted = new Map([[bank, new Uint8Array(pcr)]]);
    expect(replayIma(list, imaStart([bank]), quoted, 'padded-sha1').covered).toBe(83);
    expect(replayIma(list, imaStart([bank]), quoted).covered).toBe(bank === 'sha1' ? 83 : undefined);
  });

  test('banks that were not quoted, or values of another size, are a mistake of the caller', () => {
    const list = parseImaList(binaryList('direct-clean-1'));
    const quoted = quotedOf('direct-clean-1');
    expect(() => replayIma(list, imaStart(['sha256']), quoted)).toThrow(RangeError);
    expect(() => replayIma(list, imaStart(['sha256', 'sha384']), quoted)).toThrow(RangeError);
    expect(() => replayIma(list, imaStart([]), new Map())).toThrow(RangeError);
    const short = new Map<HashName, Uint8Array>([['sha256', new Uint8Array(20)]]);
    expect(() => replayIma(list, imaStart(['sha256']), short)).toThrow(RangeError);
    expect(() => replayIma(list, { entries: 0, pcrs: short }, short)).toThrow(RangeError);
  });
});
