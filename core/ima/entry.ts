import { u32At } from './fields.ts';
import { IMA_HASH_ALGOS } from './hash-algo.ts';
import { IMA_FLAG, type ImaList, imaDigestSize } from './list.ts';
import type { ImaFieldId, ImaTemplate } from './template.ts';

/** One entry of a list, to look at. All bytes are views into the list. */
export interface ImaEntry {
  readonly index: number;
  /** Byte offset of the entry in the binary list. */
  readonly offset: number;
  readonly pcr: number;
  readonly template: ImaTemplate;
  /** As the list claims it; all zero for a violation. */
  readonly templateHash: Uint8Array;
  readonly templateData: Uint8Array;
  /** ToMToU or open writers: the kernel extended 0xff instead of a hash. */
  readonly violation: boolean;
  /** Absent for a violation and for a template without a digest. `verity`: it is one of fs-verity. */
  readonly digest: ImaDigest | undefined;
  /** File name or name of the event, as bytes: show it through `printable`. Spaces stand as `_`, as the kernel does. */
  readonly name: Uint8Array;
  /** Contents of each field of the template. */
  readonly fields: ReadonlyMap<ImaFieldId, Uint8Array>;
}

export interface ImaDigest {
  /** As the kernel names it, such as `sha256`. */
  readonly algo: string;
  readonly value: Uint8Array;
  readonly type: 'ima' | 'verity';
}

/** Entry `index` as an object. @throws {RangeError} for an index that the list does not have */
export function imaEntry(list: ImaList, index: number): ImaEntry {
  const { bytes, columns } = list;
  const offset = columns.start[index];
  const template = list.templates[columns.template[index] ?? 0];
  if (index >= list.length || offset === undefined || template === undefined) {
    throw new RangeError(`the list has no entry ${index}, it has ${list.length}`);
  }
  const name = columns.name[index] ?? 0;
  return {
    index,
    offset,
    pcr: u32At(bytes, offset),
    template,
    templateHash: imaTemplateHash(list, index),
    templateData: imaTemplateData(list, index),
    violation: ((columns.flags[index] ?? 0) & IMA_FLAG.VIOLATION) !== 0,
    digest: digestOf(list, index),
    name: bytes.subarray(name, name + (columns.nameLength[index] ?? 0)),
    fields: template.legacy ? legacyFields(list, index) : fieldsOf(list, index, template),
  };
}

/** Template hash that the list claims for entry `index`. */
function imaTemplateHash({ bytes, columns, hash }: ImaList, index: number): Uint8Array {
  const at = (columns.start[index] ?? 0) + 4;
  return bytes.subarray(at, at + HASH_BYTES[hash]);
}

/** Template data of entry `index` as it stands in the list. */
export function imaTemplateData({ bytes, columns }: ImaList, index: number): Uint8Array {
  return bytes.subarray(columns.data[index], columns.start[index + 1]);
}

const HASH_BYTES = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 } as const;

function digestOf(list: ImaList, index: number): ImaDigest | undefined {
  const { bytes, columns } = list;
  const at = columns.digest[index] ?? 0;
  const algo = IMA_HASH_ALGOS[columns.digestAlgo[index] ?? 0];
  if (at === 0 || algo === undefined) return undefined;
  const type = ((columns.flags[index] ?? 0) & IMA_FLAG.VERITY) === 0 ? 'ima' : 'verity';
  return { algo: algo.name, value: bytes.subarray(at, at + imaDigestSize(list, index)), type };
}

function legacyFields({ bytes, columns }: ImaList, index: number): ReadonlyMap<ImaFieldId, Uint8Array> {
  const at = columns.data[index] ?? 0;
  return new Map([
    ['d', bytes.subarray(at, at + 20)],
    ['n', bytes.subarray(at + 24, columns.start[index + 1])],
  ]);
}

function fieldsOf(list: ImaList, index: number, template: ImaTemplate): ReadonlyMap<ImaFieldId, Uint8Array> {
  const fields = new Map<ImaFieldId, Uint8Array>();
  let at = list.columns.data[index] ?? 0;
  for (const { id } of template.fields) {
    const length = u32At(list.bytes, at);
    fields.set(id, list.bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return fields;
}
