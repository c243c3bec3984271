/** A record of a CSV text, with the line it begins on. */
export interface CsvRecord {
  readonly line: number;
  readonly fields: readonly string[];
}

/**
 * Splits a CSV text (RFC 4180; also with plain line feeds and a byte order mark). Empty lines are skipped.
 *
 * @throws {RangeError} for a quote that is not closed or stands inside an unquoted field
 */
export function parseCsv(text: string): CsvRecord[] {
  const source = text.replace(/^\uFEFF/, '');
  const token = /"((?:[^"]|"")*)"|([^",\r\n]*)/y;
  const records: CsvRecord[] = [];
  let [position, line] = [0, 1];
  while (position < source.length) {
    const fields: string[] = [];
    const start = line;
    for (;;) {
      token.lastIndex = position;
      const match = token.exec(source);
      const raw = match?.[0] ?? '';
      fields.push(match?.[1] === undefined ? raw.trim() : match[1].replaceAll('""', '"'));
      line += raw.split('\n').length - 1;
      position += raw.length;
      if (source[position] !== ',') break;
      position += 1;
    }
    position = endOfLine(source, position, start);
    line += 1;
    if (fields.length > 1 || fields[0] !== '') records.push({ line: start, fields });
  }
  return records;
}

function endOfLine(source: string, position: number, line: number): number {
  if (position === source.length) return position;
  if (source.startsWith('\r\n', position)) return position + 2;
  if (source[position] === '\n' || source[position] === '\r') return position + 1;
  throw new RangeError(`line ${line}: a quote does not close its field, or stands inside one without quotes`);
}
