import { hash } from 'node:crypto';
import { concat, Writer } from '../bytes/writer.ts';
import { type HashName, hashAlgOf, hashNameOf, type TPM_RH } from './constants.ts';
import { marshalTpmtPublic, type TpmtPublic } from './public.ts';

/**
 * The Name of an object (TPM 2.0 Part 1, section 16): its name algorithm and the digest of its public
 * area. It identifies the key and everything that was fixed about it.
 */
export function computeName(publicArea: TpmtPublic): Uint8Array {
  return tagged(publicArea.nameAlg, marshalTpmtPublic(publicArea));
}

/**
 * The Qualified Name (Part 1, section 16): the Name of an object together with those of all its
 * ancestors. It ties an attestation to a place in the hierarchy.
 *
 * @param parentQualifiedName for a primary object the handle of its hierarchy: `hierarchyName`
 * @throws {RangeError} when `name` does not begin with a hash algorithm
 */
export function qualifiedName(parentQualifiedName: Uint8Array, name: Uint8Array): Uint8Array {
  const nameAlg = hashNameOf(((name[0] ?? 0) << 8) | (name[1] ?? 0));
  if (!nameAlg) throw new RangeError('a Name must begin with its hash algorithm');
  return tagged(nameAlg, concat(parentQualifiedName, name));
}

/** The Name of a hierarchy, which is its handle (Part 1, section 16). */
export function hierarchyName(hierarchy: (typeof TPM_RH)[keyof typeof TPM_RH]): Uint8Array {
  return new Writer().u32(hierarchy).bytes();
}

function tagged(nameAlg: HashName, bytes: Uint8Array): Uint8Array {
  return new Writer()
    .u16(hashAlgOf(nameAlg))
    .raw(hash(nameAlg, bytes, 'buffer'))
    .bytes();
}
