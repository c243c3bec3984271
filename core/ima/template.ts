/** How the bytes of a template field are made and shown (security/integrity/ima/ima_template_lib.c). */
export type ImaFieldKind =
  | 'digest' // a bare digest
  | 'digest-ng' // `algorithm:`, NUL, digest
  | 'digest-ngv2' // `type:algorithm:`, NUL, digest
  | 'name' // text and NUL
  | 'text' // text and NUL, or nothing at all
  | 'bytes' // a signature, a buffer, attribute values
  | 'uint'; // little-endian number

/** A field of a template: its id in format strings, and what it holds. */
export interface ImaField {
  readonly id: ImaFieldId;
  readonly kind: ImaFieldKind;
  /** Bytes of a `uint`, otherwise 0. */
  readonly sizeBytes: number;
  /** Whether the field may be empty although its kind is a digest. */
  readonly optional: boolean;
}

/** A template descriptor: the name that stands in the list and the fields of its entries. */
export interface ImaTemplate {
  readonly name: string;
  readonly fields: readonly ImaField[];
  /** The `ima` template of before Linux 3.13: no lengths in the list, another form for the hash. */
  readonly legacy: boolean;
}

export type ImaFieldId = (typeof FIELDS)[number][0];

const FIELDS = [
  ['d', 'digest', 0],
  ['n', 'name', 0],
  ['d-ng', 'digest-ng', 0],
  ['d-ngv2', 'digest-ngv2', 0],
  ['n-ng', 'name', 0],
  ['sig', 'bytes', 0],
  ['d-modsig', 'digest-ng', 0, 'optional'],
  ['modsig', 'bytes', 0],
  ['buf', 'bytes', 0],
  ['evmsig', 'bytes', 0],
  ['iuid', 'uint', 4],
  ['igid', 'uint', 4],
  ['mntuidmap', 'uint', 4],
  ['mntgidmap', 'uint', 4],
  ['imode', 'uint', 2],
  ['xattrnames', 'text', 0],
  ['xattrlengths', 'bytes', 0],
  ['xattrvalues', 'bytes', 0],
] as const;

const BY_ID: ReadonlyMap<string, ImaField> = new Map(
  FIELDS.map(([id, kind, sizeBytes, optional]) => [
    id,
    { id, kind, sizeBytes, optional: optional !== undefined },
  ]),
);

/** The kernel's named templates and their format strings. */
const NAMED: ReadonlyMap<string, string> = new Map([
  ['ima', 'd|n'],
  ['ima-ng', 'd-ng|n-ng'],
  ['ima-ngv2', 'd-ngv2|n-ng'],
  ['ima-sig', 'd-ng|n-ng|sig'],
  ['ima-sigv2', 'd-ngv2|n-ng|sig'],
  ['ima-buf', 'd-ng|n-ng|buf'],
  ['ima-modsig', 'd-ng|n-ng|sig|d-modsig|modsig'],
  ['evm-sig', 'd-ng|n-ng|evmsig|xattrnames|xattrlengths|xattrvalues|iuid|igid|imode'],
]);

/** IMA_TEMPLATE_NUM_FIELDS_MAX. */
const MAX_FIELDS = 15;
/** Longest template name that is read: the longest format string of 15 fields is shorter. */
export const MAX_TEMPLATE_NAME_BYTES = 256;

/**
 * The template that a list names, one of the kernel's or a format string such as `d-ng|n-ng|sig`. Undefined for
 * anything else, also for a field twice.
 */
export function imaTemplate(name: string): ImaTemplate | undefined {
  const fields = (NAMED.get(name) ?? name).split('|').map((id) => BY_ID.get(id));
  if (fields.length > MAX_FIELDS || new Set(fields).size !== fields.length) return undefined;
  const known = fields.filter((field) => field !== undefined);
  return known.length === fields.length ? { name, fields: known, legacy: name === 'ima' } : undefined;
}
