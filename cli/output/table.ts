import { stripVTControlCharacters, styleText } from 'node:util';
import { printable } from '../../core/bytes/encoding.ts';

export type Align = 'left' | 'right';

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  readonly align?: Align;
}

/**
 * Rows as text with aligned columns. Values may carry our own colours; text that came from a node has to
 * go through `shown` first.
 */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = rows.map((row) => columns.map((column) => column.value(row)));
  const widths = columns.map((column, index) =>
    Math.max(column.title.length, ...cells.map((row) => width(row[index] ?? ''))),
  );
  const header = columns.map((column, index) =>
    styleText('bold', pad(column.title, widths[index] ?? 0, column.align)),
  );
  const body = cells.map((row) =>
    row.map((cell, index) => pad(cell, widths[index] ?? 0, columns[index]?.align)),
  );
  return [header, ...body].map((row) => row.join('  ').trimEnd()).join('\n');
}

/** Without a value it is not shown. */
export type Field = readonly [name: string, value: string | undefined];

/** Names and values, one a line. */
export function renderFields(fields: readonly Field[]): string {
  const known = fields.filter((field): field is readonly [string, string] => field[1] !== undefined);
  const longest = Math.max(0, ...known.map(([name]) => name.length));
  return known
    .map(([name, value]) => `${styleText('bold', name.padEnd(longest))}  ${indent(value, longest + 2)}`)
    .join('\n');
}

/** Text from a service, which may repeat what a node chose: no control character reaches the terminal. */
export function shown(text: string | null | undefined, absent = '-'): string {
  return text === null || text === undefined || text === '' ? absent : printable(text);
}

/** A reason of a verdict. What a node chose is escaped in its message already: backslashes stay as they are. */
export function shownReason({ rule, message }: { readonly rule: string; readonly message: string }): string {
  return `${rule}: ${message}`.split('\\').map(printable).join('\\');
}

interface Reason {
  readonly rule: string;
  readonly message: string;
  readonly remedy?: string;
}

/** Reasons, one a line, and below those that have it in common what to do about them. */
export function shownReasons(reasons: readonly Reason[]): string[] {
  return reasons.flatMap((reason, index) => {
    const { remedy } = reason;
    const isLast = remedy !== reasons[index + 1]?.remedy;
    return [shownReason(reason), ...(remedy !== undefined && isLast ? [`  -> ${shown(remedy)}`] : [])];
  });
}

function pad(text: string, size: number, align: Align = 'left'): string {
  const fill = ' '.repeat(Math.max(0, size - width(text)));
  return align === 'left' ? text + fill : fill + text;
}

function indent(text: string, by: number): string {
  return text.replaceAll('\n', `\n${' '.repeat(by)}`);
}

function width(text: string): number {
  return stripVTControlCharacters(text).length;
}
