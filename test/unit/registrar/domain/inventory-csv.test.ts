import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AssayError } from '../../../../core/errors.ts';
import { parseCsv } from '../../../../registrar/domain/csv.ts';
import { parseInventory } from '../../../../registrar/domain/inventory-csv.ts';

const HEADER = 'ek_sha256,certificate_serial,certificate_issuer,asset_name,group';
const EK = 'ab'.repeat(32);

function problems(csv: string): readonly string[] {
  try {
    parseInventory(csv);
  } catch (error) {
    if (error instanceof AssayError) return error.details.map(({ message }) => message);
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('CSV', () => {
  test('quotes, commas, line breaks and a byte order mark', () => {
    expect(parseCsv('\uFEFFa,"b,""c""\nd"\r\n\r\ne, f \n')).toEqual([
      { line: 1, fields: ['a', 'b,"c"\nd'] },
      { line: 4, fields: ['e', 'f'] },
    ]);
  });

  test.each(['a,"b', 'a,b"c"', 'a,"b"c'])('a stray quote is refused: %s', (text) => {
    expect(() => parseCsv(text)).toThrow(RangeError);
  });

  test('what is quoted comes back', () => {
    const field = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(fc.array(fc.array(field, { minLength: 2, maxLength: 4 }), { maxLength: 5 }), (records) => {
        const lines = records.map((fields) =>
          fields.map((text) => `"${text.replaceAll('"', '""')}"`).join(','),
        );
        const text = lines.join('\r\n');
        // A mark at the very beginning is not content; quoted fields begin with a quote.
        expect(parseCsv(text).map(({ fields }) => fields)).toEqual(records);
      }),
    );
  });
});

describe('inventory file', () => {
  test('entries by EK and by certificate, columns in any order', () => {
    const csv = [
      'group,asset_name,ek_sha256,certificate_serial,certificate_issuer',
      `edge,rack 7,${EK.toUpperCase()},,`,
      'edge,rack 8,,00:A1:b2,"CN = Maker EK CA, O = Maker"',
    ].join('\n');
    expect(parseInventory(csv)).toEqual([
      { line: 2, ekSha256: EK, certificate: null, assetName: 'rack 7', group: 'edge' },
      {
        line: 3,
        ekSha256: null,
        certificate: { serial: 'a1b2', issuer: 'CN=Maker EK CA,O=Maker' },
        assetName: 'rack 8',
        group: 'edge',
      },
    ]);
  });

  test.each([
    ['a wrong header', 'ek,asset\n', 'line 1: expected the header'],
    ['a column twice', `${HEADER},group\n`, 'line 1: expected the header'],
    ['a missing field', `${HEADER}\n${EK},,,rack 7`, 'line 2: 4 fields, 5 expected'],
    ['neither key', `${HEADER}\n,,,rack 7,edge`, 'line 2: give ek_sha256, or'],
    ['both keys', `${HEADER}\n${EK},01,CN=A,rack 7,edge`, 'line 2: give ek_sha256, or'],
    ['a serial alone', `${HEADER}\n,01,,rack 7,edge`, 'line 2: certificate_issuer must be'],
    ['a short hash', `${HEADER}\nabcd,,,rack 7,edge`, 'line 2: ek_sha256 must be'],
    [
      'a decimal-looking serial with letters',
      `${HEADER}\n,xyz,CN=A,rack 7,edge`,
      'line 2: certificate_serial',
    ],
    ['no asset name', `${HEADER}\n${EK},,,,edge`, 'line 2: asset_name'],
    ['a group that is none', `${HEADER}\n${EK},,,rack 7,Edge!`, 'line 2: group must be'],
    ['one node twice', `${HEADER}\n${EK},,,a,edge\n${EK},,,b,edge`, 'line 3: the same node as line 2'],
    ['an open quote', `${HEADER}\n"${EK},,,a,edge`, 'line 2: a quote'],
  ])('%s is refused with its line', (_case, csv, expected) => {
    expect(problems(csv)[0]).toContain(expected);
  });

  test('every problem is told at once, up to a number', () => {
    const bad = Array.from({ length: 30 }, () => 'x').join('\n');
    const told = problems(`${HEADER}\n${bad}`);
    expect(told).toHaveLength(21);
    expect(told.at(-1)).toBe('and 10 more problems');
  });
});
