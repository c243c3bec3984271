import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { relative } from '../../../cli/output/style.ts';
import { renderFields, renderTable, shown } from '../../../cli/output/table.ts';

test('bytes.text: a name from a node cannot move the cursor or forge a line', () => {
  expect(shown('web\u001b[2J\nnode-9  trusted')).toBe('web\\x1b[2J\\x0anode-9  trusted');
});

test('columns are aligned by what is seen, not by colour codes', () => {
  const columns = [
    { title: 'A', value: (row: { a: string; b: string }) => row.a },
    { title: 'B', value: (row: { a: string; b: string }) => row.b, align: 'right' as const },
  ];
  const text = renderTable(columns, [
    { a: '\u001b[31mred\u001b[39m', b: '1' },
    { a: 'longer', b: '22' },
  ]);
  expect(stripVTControlCharacters(text)).toBe('A        B\nred      1\nlonger  22');
});

test('unknown fields are left out, long values keep their column', () => {
  const text = renderFields([
    ['one', 'a\nb'],
    ['missing', undefined],
  ]);
  expect(stripVTControlCharacters(text)).toBe('one  a\n     b');
});

test('times are shown relative to now', () => {
  const now = new Date('2030-01-01T00:00:00Z');
  expect(relative('2030-01-01T00:00:30Z', now)).toBe('in 30s');
  expect(relative('2029-12-31T23:00:00Z', now)).toBe('60m ago');
  expect(relative('2030-01-01T00:00:00.300Z', now)).toBe('now');
  expect(relative(null, now)).toBe('-');
});
