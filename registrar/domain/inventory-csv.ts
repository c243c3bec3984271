import { AssayError, type ErrorDetail } from '../../core/errors.ts';
import type { CertificateName } from './candidate.ts';
import { canonicalIssuer, canonicalSerial } from './certificate-name.ts';
import { type CsvRecord, parseCsv } from './csv.ts';

/** A node that is expected: by its EK, or by its EK certificate. */
export interface InventoryEntry {
  /** Hex SHA-256 of the EK's SubjectPublicKeyInfo. */
  readonly ekSha256: string | null;
  readonly certificate: CertificateName | null;
  readonly assetName: string;
  readonly group: string;
}

/** An entry and the line of the file that it stands on. */
export interface InventoryLine extends InventoryEntry {
  readonly line: number;
}

const COLUMNS = ['ek_sha256', 'certificate_serial', 'certificate_issuer', 'asset_name', 'group'] as const;
type Column = (typeof COLUMNS)[number];

const MAX_ENTRIES = 20_000;
const MAX_PROBLEMS = 20;
const SHA256 = /^[0-9a-f]{64}$/;
const GROUP = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * Reads the inventory's CSV form: a header line with the columns of COLUMNS in any order, then one entry a line.
 *
 * @throws {AssayError} `invalid-request` with every problem and its line, when there is one
 */
export function parseInventory(text: string): InventoryLine[] {
  const [header, ...records] = readCsv(text);
  const order = columnOrder(header);
  if (records.length > MAX_ENTRIES) {
    throw new AssayError(
      'too-large',
      `${records.length} entries in one file, at most ${MAX_ENTRIES}: split it`,
    );
  }
  const problems: ErrorDetail[] = [];
  const entries = records.flatMap((record) => {
    const entry = parseEntry(record, order);
    if (typeof entry !== 'string') return [entry];
    problems.push({ message: `line ${record.line}: ${entry}` });
    return [];
  });
  problems.push(...duplicates(entries));
  if (problems.length > 0) throw refused(problems);
  return entries;
}

/** Two entries of one key are the same node. */
export function inventoryKey(entry: InventoryEntry): string {
  const { ekSha256, certificate } = entry;
  return ekSha256 ?? `${certificate?.serial}@${certificate?.issuer}`;
}

function readCsv(text: string): CsvRecord[] {
  try {
    return parseCsv(text);
  } catch (error) {
    throw refused([{ message: error instanceof RangeError ? error.message : 'is no CSV' }]);
  }
}

function columnOrder(header: CsvRecord | undefined): readonly Column[] {
  const names = header?.fields.map((name) => name.toLowerCase()) ?? [];
  const order = names.flatMap((name) => COLUMNS.filter((column) => column === name));
  if (
    order.length === COLUMNS.length &&
    names.length === order.length &&
    new Set(names).size === order.length
  )
    return order;
  throw refused([{ message: `line 1: expected the header ${COLUMNS.join(',')}` }]);
}

function parseEntry({ line, fields }: CsvRecord, order: readonly Column[]): InventoryLine | string {
  if (fields.length !== order.length) return `${fields.length} fields, ${order.length} expected`;
  const value = (column: Column) => fields[order.indexOf(column)] ?? '';
  const identity = parseIdentity(
    value('ek_sha256').toLowerCase(),
    value('certificate_serial'),
    value('certificate_issuer'),
  );
  if (typeof identity === 'string') return identity;
  const [assetName, group] = [value('asset_name'), value('group')];
  if (assetName === '' || assetName.length > 200) return 'asset_name must have 1 to 200 characters';
  if (!GROUP.test(group)) return 'group must be lower-case letters, digits and hyphens, such as default';
  return { line, ...identity, assetName, group };
}

function parseIdentity(
  ekSha256: string,
  serialText: string,
  issuerText: string,
): Pick<InventoryEntry, 'ekSha256' | 'certificate'> | string {
  const named = serialText !== '' || issuerText !== '';
  if ((ekSha256 !== '') === named) return 'give ek_sha256, or certificate_serial and certificate_issuer';
  if (!named) {
    return SHA256.test(ekSha256) ? { ekSha256, certificate: null } : 'ek_sha256 must be 64 hex digits';
  }
  const [serial, issuer] = [canonicalSerial(serialText), canonicalIssuer(issuerText)];
  if (serial === undefined) return 'certificate_serial must be hex, such as 00a1b2';
  if (issuer === undefined) return 'certificate_issuer must be a name, such as CN=Maker EK CA 1,O=Maker';
  return { ekSha256: null, certificate: { serial, issuer } };
}

function duplicates(entries: readonly InventoryLine[]): ErrorDetail[] {
  const first = new Map<string, number>();
  return entries.flatMap((entry) => {
    const before = first.get(inventoryKey(entry));
    if (before !== undefined) return [{ message: `line ${entry.line}: the same node as line ${before}` }];
    first.set(inventoryKey(entry), entry.line);
    return [];
  });
}

function refused(problems: readonly ErrorDetail[]): AssayError {
  const shown = problems.slice(0, MAX_PROBLEMS);
  const rest = problems.length - shown.length;
  const details = rest === 0 ? shown : [...shown, { message: `and ${rest} more problems` }];
  return new AssayError('invalid-request', 'the inventory file has problems, so nothing of it was added', {
    details,
  });
}
