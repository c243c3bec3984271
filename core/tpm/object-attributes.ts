import type { Reader } from '../bytes/reader.ts';

// TPMA_OBJECT (Part 2, 8.3.2): name of each attribute and its bit.
const BITS = {
  fixedTPM: 1,
  stClear: 2,
  fixedParent: 4,
  sensitiveDataOrigin: 5,
  userWithAuth: 6,
  adminWithPolicy: 7,
  noDA: 10,
  encryptedDuplication: 11,
  restricted: 16,
  decrypt: 17,
  sign: 18,
  x509sign: 19,
} as const;

export type ObjectAttribute = keyof typeof BITS;

/** TPMA_OBJECT (Part 2, 8.3): what a key may do, and whether it can leave its TPM. */
export type TpmaObject = Readonly<Record<ObjectAttribute, boolean>>;

const NAMES = Object.keys(BITS).filter((name): name is ObjectAttribute => name in BITS);
const KNOWN = NAMES.reduce((mask, name) => mask | (1 << BITS[name]), 0) >>> 0;

/** @throws {ParseError} when a reserved bit is set (rule `bytes.known`) */
export function readTpmaObject(reader: Reader): TpmaObject {
  const bits = reader.u32('objectAttributes');
  const reserved = (bits & ~KNOWN) >>> 0;
  if (reserved !== 0) reader.fail('objectAttributes', `reserved bits 0x${reserved.toString(16)} are set`);
  return objectAttributes(NAMES.filter((name) => (bits & (1 << BITS[name])) !== 0));
}

/** The TPMA_OBJECT in which exactly `set` are SET. */
export function objectAttributes(set: readonly ObjectAttribute[]): TpmaObject {
  const has = new Set(set);
  return {
    fixedTPM: has.has('fixedTPM'),
    stClear: has.has('stClear'),
    fixedParent: has.has('fixedParent'),
    sensitiveDataOrigin: has.has('sensitiveDataOrigin'),
    userWithAuth: has.has('userWithAuth'),
    adminWithPolicy: has.has('adminWithPolicy'),
    noDA: has.has('noDA'),
    encryptedDuplication: has.has('encryptedDuplication'),
    restricted: has.has('restricted'),
    decrypt: has.has('decrypt'),
    sign: has.has('sign'),
    x509sign: has.has('x509sign'),
  };
}

/** The 32 bits as they stand in a public area. */
export function tpmaObjectBits(attributes: TpmaObject): number {
  return NAMES.reduce((bits, name) => (attributes[name] ? bits | (1 << BITS[name]) : bits), 0) >>> 0;
}
