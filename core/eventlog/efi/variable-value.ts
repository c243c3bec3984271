import { ParseError } from '../../errors.ts';
import { VENDOR } from './guid.ts';
import { type EfiLoadOption, parseLoadOption } from './load-option.ts';
import { parseSbat, type SbatEntry } from './sbat.ts';
import {
  type EfiSignature,
  type EfiSignatureData,
  parseSignatureData,
  parseSignatureLists,
} from './signature-list.ts';
import type { UefiVariableData } from './variable.ts';

/** What a variable means, by vendor and name. No more proven than the bytes and the name it was read from. */
export type VariableValue =
  | { readonly type: 'boolean'; readonly value: boolean }
  /** A flag that the firmware looked for and did not find: as good as false. */
  | { readonly type: 'not-set' }
  | { readonly type: 'signature-lists'; readonly signatures: readonly EfiSignature[] }
  /** The entry of a list that vouched for an image. */
  | { readonly type: 'signature-data'; readonly signature: EfiSignatureData }
  | { readonly type: 'boot-order'; readonly options: readonly number[] }
  | { readonly type: 'load-option'; readonly option: EfiLoadOption }
  | { readonly type: 'sbat'; readonly entries: readonly SbatEntry[] }
  | { readonly type: 'bytes'; readonly bytes: Uint8Array };

type Meaning = (data: Uint8Array) => VariableValue;

const GLOBAL: ReadonlyMap<string, Meaning> = new Map([
  ...['SecureBoot', 'SetupMode', 'AuditMode', 'DeployedMode'].map((name) => [name, flag] as const),
  ...['PK', 'KEK'].map((name) => [name, signatureLists] as const),
  ['BootOrder', bootOrder],
]);
const SECURITY_DATABASE: ReadonlyMap<string, Meaning> = new Map(
  ['db', 'dbx', 'dbt', 'dbr'].map((name) => [name, signatureLists]),
);
const SHIM: ReadonlyMap<string, Meaning> = new Map([
  ...['SbatLevel', 'SbatLevelRT'].map((name) => [name, sbatLevel] as const),
  ...['MokList', 'MokListX', 'MokListRT', 'MokListXRT'].map((name) => [name, signatureLists] as const),
  ...['MokListTrusted', 'MokListTrustedRT', 'MokSBState', 'MokSBStateRT'].map(
    (name) => [name, flag] as const,
  ),
]);
const OPTION = /^(?:Boot|Driver|SysPrep)[0-9A-F]{4}$/;

/**
 * What a variable that holds configuration means; one that is unknown is bytes.
 *
 * @throws {ParseError} when the value does not have the form of its variable
 */
export function variableValue({ variableName, unicodeName, variableData }: UefiVariableData): VariableValue {
  const meaning = meaningOf(variableName, unicodeName);
  return meaning === undefined ? { type: 'bytes', bytes: variableData } : meaning(variableData);
}

function meaningOf(vendor: string, name: string): Meaning | undefined {
  if (vendor === VENDOR.GLOBAL) return OPTION.test(name) ? loadOption : GLOBAL.get(name);
  if (vendor === VENDOR.SECURITY_DATABASE) return SECURITY_DATABASE.get(name);
  return vendor === VENDOR.SHIM ? SHIM.get(name) : undefined;
}

/**
 * What stands in an EV_EFI_VARIABLE_AUTHORITY event: of a list, the entry that vouched for an image and not the list;
 * of shim's SbatLevel and flags, the value itself.
 *
 * @throws {ParseError} when the value does not have the form of its variable
 */
export function authorityValue(variable: UefiVariableData): VariableValue {
  const meaning = meaningOf(variable.variableName, variable.unicodeName);
  if (meaning === flag || meaning === sbatLevel) return meaning(variable.variableData);
  if (meaning === signatureLists || isBuiltIn(variable)) {
    return { type: 'signature-data', signature: parseSignatureData(variable.variableData) };
  }
  return { type: 'bytes', bytes: variable.variableData };
}

// What is built into shim is no variable and goes under these names; later shims look it up in MokListRT as well.
function isBuiltIn({ variableName, unicodeName }: UefiVariableData): boolean {
  if (variableName === VENDOR.SECURITY_DATABASE) return unicodeName === 'vendor_db';
  return variableName === VENDOR.SHIM && unicodeName === 'Shim';
}

function flag(data: Uint8Array): VariableValue {
  const [value] = data;
  if (data.length === 0) return { type: 'not-set' };
  if (data.length !== 1 || value === undefined || value > 1) {
    throw new ParseError('variableData', 0, `has ${data.length} bytes, one that is 0 or 1 expected`);
  }
  return { type: 'boolean', value: value === 1 };
}

function signatureLists(data: Uint8Array): VariableValue {
  return { type: 'signature-lists', signatures: parseSignatureLists(data) };
}

function bootOrder(data: Uint8Array): VariableValue {
  if (data.length % 2 !== 0) throw new ParseError('variableData', 0, 'is not a list of 16-bit numbers');
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const options = Array.from({ length: data.length / 2 }, (_, i) => view.getUint16(2 * i, true));
  return { type: 'boot-order', options };
}

function loadOption(data: Uint8Array): VariableValue {
  return { type: 'load-option', option: parseLoadOption(data) };
}

function sbatLevel(data: Uint8Array): VariableValue {
  return { type: 'sbat', entries: parseSbat(data) };
}
