import { describe, expect, test } from 'vitest';
import { printable } from '../../../../core/bytes/encoding.ts';
import { parseImaAscii } from '../../../../core/ima/ascii.ts';
import { imaEntry } from '../../../../core/ima/entry.ts';
import { parseErrorOf, utf8 } from './vectors.ts';

const HASH = '11'.repeat(20);
const DIGEST = `sha256:${'5a'.repeat(32)}`;
const good = `10 ${HASH} ima-ng ${DIGEST} /usr/bin/env`;
const refusal = (text: string, options = {}) => parseErrorOf(() => parseImaAscii(utf8(text), options));

describe('a list as text', () => {
  test('the last line may lack its end, as Keylime agents send a part of a list', () => {
    expect(parseImaAscii(utf8(`${good}\n${good}`)).length).toBe(2);
    expect(parseImaAscii(utf8(`${good}\n${good}\n`)).length).toBe(2);
    expect(parseImaAscii(new Uint8Array()).length).toBe(0);
  });

  test('a PCR of one digit is padded with a space', () => {
    expect(parseImaAscii(utf8(good.replace('10', ' 9')), { pcr: 9 }).pcr).toBe(9);
  });

  test('a template hash of another algorithm, as Keylime policies may name one', () => {
    const line = good.replace(HASH, '22'.repeat(32));
    expect(imaEntry(parseImaAscii(utf8(line), { hash: 'sha256' }), 0).templateHash).toHaveLength(32);
  });

  test('a template whose fields are all empty takes more room than its line', () => {
    const line = `10 ${HASH} sig|buf|modsig|evmsig|xattrnames|xattrlengths|xattrvalues       `;
    const list = parseImaAscii(utf8(`${line}\n`.repeat(2000)));
    expect(list.length).toBe(2000);
    expect(imaEntry(list, 1999).templateData).toEqual(new Uint8Array(28));
  });

  test('numbers have the width of their field', () => {
    const list = parseImaAscii(utf8(`10 ${HASH} n-ng|iuid|imode /x 4294967295 65535`));
    expect(imaEntry(list, 0).templateData.subarray(-14)).toEqual(
      Uint8Array.of(4, 0, 0, 0, 255, 255, 255, 255, 2, 0, 0, 0, 255, 255),
    );
  });

  test('bytes of a name that are not UTF-8 stay', () => {
    const [head, tail] = [utf8(good), Uint8Array.of(0xff, 0xfe)];
    const list = parseImaAscii(Buffer.concat([head, tail]));
    expect(printable(imaEntry(list, 0).name)).toBe('/usr/bin/env\\xff\\xfe');
  });

  test.each([
    ['an empty line', '', 'pcr', 0],
    ['a PCR that is no number', good.replace('10', '1x'), 'pcr', 1],
    ['a PCR with a leading zero', good.replace('10', '010'), 'pcr', 1],
    ['another PCR', good.replace('10', '11'), 'pcr', 0],
    ['a short template hash', good.replace('1111', '11'), 'template_hash', 41],
    ['upper-case hex', good.replace('5a', '5A'), 'd-ng', 58],
    ['an odd number of digits', good.replace('5a5a', '5a5'), 'd-ng', 58],
    ['a template that is unknown', good.replace('ima-ng', 'ima-xy'), 'template_name', 44],
    ['no name', good.replace(' /usr/bin/env', ''), 'd-ng', 51],
    ['nothing but a PCR', '10', 'pcr', 0],
    ['a digest without an algorithm', good.replace('sha256:', ''), 'd-ng', 51],
    ['an unknown algorithm', good.replace('sha256', 'sha999'), 'd-ng', 0],
    ['a digest of the wrong size', good.replace('5a5a', '5a'), 'd-ng', 0],
    ['a number that is too large', `10 ${HASH} n-ng|imode /x 65536`, 'imode', 58],
    ['no number', `10 ${HASH} n-ng|imode /x `, 'imode', 58],
    ['bytes behind a legacy digest', `10 ${HASH} ima ${HASH}00 /x`, 'd', 90],
  ])('%s is refused', (_, line, field, offset) => {
    expect(refusal(`${line}\n`)).toEqual({ field: `ima[0].${field}`, offset });
    const before = `${good}\n`;
    expect(refusal(`${before}${line}\n${good}`)).toEqual({
      field: `ima[1].${field}`,
      offset: before.length + offset,
    });
  });

  test('a name with a line break is refused, not read as two entries', () => {
    expect(refusal(`${good}\nrest of the name\n${good}`).field).toBe('ima[1].pcr');
  });

  test('limits are those of the text', () => {
    expect(refusal(good, { maxBytes: good.length - 1 })).toEqual({ field: 'ima', offset: 0 });
    expect(refusal(`${good}\n${good}`, { maxEntries: 1 })).toEqual({
      field: 'ima[1].pcr',
      offset: good.length + 1,
    });
    expect(refusal(`${good} ${'x'.repeat(4 * 1024 * 1024)}`)).toEqual({ field: 'ima[0]', offset: 0 });
  });
});
