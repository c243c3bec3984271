import type { Reader } from '../bytes/reader.ts';

// TPMA_OBJECT (Part 2, 8.3.2): name of each attribute and its bit. The specification's name of `sign` for
// symmetric keys is `encrypt`.
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
const KNOWN = NAMES.reduce((mask, name) => mask | (1 << BITS[name]), 0);

/** @throws {ParseError} when a bit is SET that the specification reserves */
export function readTpmaObject(r: Reader): TpmaObject {
  const bits = r.u32('objectAttributes');
  const reserved = (bits & ~KNOWN) >>> 0;
  if (reserved !== 0) {
    r.fail('objectAttributes', `reserved bits 0x${reserved.toString(16)} are set`, 'bytes.known');
  }
  return tpmaObject(...NAMES.filter((name) => (bits & (1 << BITS[name])) !== 0));
}

/** The TPMA_OBJECT in which exactly `set` are SET. */
export function tpmaObject(...set: readonly ObjectAttribute[]): TpmaObject {
  const has = (name: ObjectAttribute): boolean => set.includes(name);
  return {
    fixedTPM: has('fixedTPM'),
    stClear: has('stClear'),
    fixedParent: has('fixedParent'),
    sensitiveDataOrigin: has('sensitiveDataOrigin'),
    userWithAuth: has('userWithAuth'),
    adminWithPolicy: has('adminWithPolicy'),
    noDA: has('noDA'),
    encryptedDuplication: has('encryptedDuplication'),
    restricted: has('restricted'),
    decrypt: has('decrypt'),
    sign: has('sign'),
    x509sign: has('x509sign'),
  };
}

/** The 32 bits as they stand in a public area. */
export function tpmaObjectBits(attributes: TpmaObject): number {
  return NAMES.reduce((bits, name) => (attributes[name] ? bits | (1 << BITS[name]) : bits), 0);
}
