import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { concat } from '../../../../core/bytes/writer.ts';
import { parseImaList } from '../../../../core/ima/binary.ts';
import { imaEntry } from '../../../../core/ima/entry.ts';
import { ImaEntryMemo, imaStart, replayIma } from '../../../../core/ima/replay.ts';
import { parsePcrBlob } from '../../../../core/messages/keylime/pcr-blob.ts';
import { appraise } from '../../../../policies/appraise.ts';
import { parsePolicy } from '../../../../policies/language/parse.ts';
import type { JudgedList } from '../../../../policies/rules/ima.ts';
import { binaryList } from '../../core/ima/vectors.ts';
import { quoteOf } from '../boot/boots.ts';

// Entries of two machines that had one signing key: one measured the key as it came into the keyring `lab`, the other
// one the files that it has signed.
const MIXED = entriesOf('ima-custom-policy-mixed');
const SIGNED = entriesOf('ima-sig');
const AGGREGATE = MIXED.find(({ name }) => name === 'boot_aggregate')?.bytes ?? new Uint8Array();
const KEY = MIXED.find(({ name }) => name === 'lab')?.bytes ?? new Uint8Array();
const KEYCTL = MIXED.find(({ name }) => name === '/usr/bin/keyctl')?.bytes ?? new Uint8Array();
const CAT = SIGNED.find(({ name }) => name === '/usr/bin/cat')?.bytes ?? new Uint8Array();
const CERTIFICATE = '4aa99da509e43ee6170cffaf89ae125a889e2ff89bcdcea29ec0347f5953ce15';
const KEYCTL_SHA256 = '33833ae8ff4c4e374d918676928e280af17dfb1aaeedf2d93b5cf08f003a8849';
const BOOT = bootValues();
const LIST = [AGGREGATE, KEY, CAT];

const lab = (keys: string, paths = '[/usr/bin/*]') => `keyrings: { lab: { keys: ${keys}, paths: ${paths} } }`;

describe('ima.keys: keys that came into a keyring', () => {
  test('sign the files that they may, when the policy follows the keyring', () => {
    expect(told(LIST, lab(`['${CERTIFICATE}']`))).toEqual([]);
    expect(told(LIST, lab('any'))).toEqual([]);
    expect(told(LIST, `buffers: { lab: ['${CERTIFICATE}'] }, files: { /x: ['${CERTIFICATE}'] }`)).toEqual([
      'ima.digest /usr/bin/cat',
    ]);
  });

  test('sign no others', () => {
    expect(told(LIST, lab('any', '[/usr/sbin/*]'))).toEqual(['ima.digest /usr/bin/cat']);
  });

  test('are refused when the policy does not name them', () => {
    const other = lab(`['${CERTIFICATE.replace('4', '5')}']`);
    expect(told(LIST, other)).toEqual(['ima.keys lab', 'ima.digest /usr/bin/cat']);
  });

  test('are not learned from a buffer that is not the measured one', () => {
    const changed = Uint8Array.from(KEY);
    changed.set([(changed.at(-1) ?? 0) ^ 1], changed.length - 1);
    expect(told([AGGREGATE, changed, CAT], lab('any'))).toEqual([
      'ima.bytes ',
      'ima.buffer lab',
      'ima.digest /usr/bin/cat',
    ]);
  });

  test('count for later parts of the list too', () => {
    const first = judge([AGGREGATE, KEY], lab('any'));
    const before = first.outcome === 'pass' ? first.ima : undefined;
    expect(before?.learned).toMatchObject([{ keyring: 'lab' }]);
    const rest = judge([CAT], lab('any'), before);
    expect(rest).toMatchObject({ outcome: 'pass', ima: { entries: 3, learned: [{ keyring: 'lab' }] } });
    const { learned: _, ...forgotten } = before ?? { entries: 0, pcrs: new Map() };
    expect(judge([CAT], lab('any'), forgotten).findings.map(({ rule }) => rule)).toEqual(['ima.digest']);
  });

  test('are not those of another node, whatever is remembered of its list', () => {
    const entries = ImaEntryMemo.create();
    expect(judge(LIST, lab('any'), undefined, entries).outcome).toBe('pass');
    expect(judge([AGGREGATE, CAT], lab('any'), undefined, entries).findings).toMatchObject([
      { rule: 'ima.digest', file: { path: '/usr/bin/cat' } },
    ]);
  });

  test('cannot be said twice', () => {
    expect(() => judge(LIST, `${lab('any')}, buffers: { lab: any }`)).toThrow(/named in buffers too/);
  });
});

describe('ima.policy: the policy that decides what is measured', () => {
  const measured = (digest: string, file = '/x') =>
    `measured-policy: { /usr/bin/keyctl: ['${digest}'] }, files: { ${file}: ['${KEYCTL_SHA256}'] }`;

  test('is allowed, and must be there', () => {
    expect(told([AGGREGATE, KEYCTL], measured(KEYCTL_SHA256))).toEqual([]);
    expect(judge([AGGREGATE], measured(KEYCTL_SHA256)).findings).toMatchObject([
      { rule: 'ima.policy', message: expect.stringContaining('was not measured'), expected: [KEYCTL_SHA256] },
    ]);
  });

  test('is one that is named, whatever allows its bytes', () => {
    expect(told([AGGREGATE, KEYCTL], measured(CERTIFICATE, '/usr/bin/keyctl'))).toEqual([
      'ima.policy /usr/bin/keyctl',
    ]);
    const excluded = `${measured(CERTIFICATE)}, exclude: [/usr/bin/*]`;
    expect(told([AGGREGATE, KEYCTL], excluded)).toEqual(['ima.policy /usr/bin/keyctl']);
  });

  test('need not be shown again in a later part', () => {
    const first = judge([AGGREGATE, KEYCTL], measured(KEYCTL_SHA256));
    const before = first.outcome === 'pass' ? first.ima : undefined;
    const rest = judge([CAT], `${measured(KEYCTL_SHA256)}, exclude: [/usr/bin/cat]`, before);
    expect(rest.outcome).toBe('pass');
  });
});

/** Each rule with what it is about. */
function told(entries: readonly Uint8Array[], rules: string): string[] {
  return judge(entries, rules).findings.map(({ rule, file }) => `${rule} ${file?.path ?? ''}`);
}

/** Under a quote of all entries. */
function judge(
  shown: readonly Uint8Array[],
  rules: string,
  before?: JudgedList,
  entries: ImaEntryMemo | undefined = undefined,
) {
  const list = parseImaList(concat(...shown));
  const never = new Map([['sha256', new Uint8Array(32).fill(1)] as const]);
  const { state } = replayIma(list, before ?? imaStart(['sha256']), never);
  const policy = parsePolicy(`assay: policy/v1
name: test
freshness: { interval: 30s, trust-for: 5m }
reaction: ban
pcrs: { bank: sha256, require: 0-10 }
ima: { ${rules} }
`);
  const values = new Map([...BOOT, [10, state.pcrs.get('sha256') ?? new Uint8Array()]] as const);
  const ima = { list, firstEntry: before?.entries ?? 0 };
  const knowledge = { sets: new Map(), entries };
  return appraise(policy, { quote: quoteOf(values), ima }, before ? { ima: before } : {}, knowledge);
}

function entriesOf(name: string): { readonly name: string; readonly bytes: Uint8Array }[] {
  const list = parseImaList(binaryList(name));
  return Array.from({ length: list.length }, (_, index) => ({
    name: Buffer.from(imaEntry(list, index).name).toString('latin1'),
    bytes: list.bytes.subarray(list.columns.start[index], list.columns.start[index + 1]),
  }));
}

/** PCR 0 to 9 of the machine whose boot_aggregate it is. */
function bootValues(): ReadonlyMap<number, Uint8Array> {
  const file = new URL('../../../vectors/evidence/recorded.json', import.meta.url);
  const { pcrs } = JSON.parse(readFileSync(file, 'utf8')).boots['ima-custom-policy-mixed'];
  const { values } = parsePcrBlob(new Uint8Array(Buffer.from(pcrs, 'base64')));
  return new Map([...(values.get('sha256') ?? [])].filter(([pcr]) => pcr < 10));
}
