/** One hash algorithm of the kernel's `enum hash_algo` (include/uapi/linux/hash_info.h). */
export interface ImaHashAlgo {
  /** Place in the enumeration: the byte in signature headers. */
  readonly id: number;
  /** As the kernel prints it before a digest. */
  readonly name: string;
  readonly sizeBytes: number;
}

const ALGORITHMS: readonly (readonly [name: string, sizeBytes: number])[] = [
  ['md4', 16],
  ['md5', 16],
  ['sha1', 20],
  ['rmd160', 20],
  ['sha256', 32],
  ['sha384', 48],
  ['sha512', 64],
  ['sha224', 28],
  ['rmd128', 16],
  ['rmd256', 32],
  ['rmd320', 40],
  ['wp256', 32],
  ['wp384', 48],
  ['wp512', 64],
  ['tgr128', 16],
  ['tgr160', 20],
  ['tgr192', 24],
  ['sm3', 32],
  ['streebog256', 32],
  ['streebog512', 64],
  ['sha3-256', 32],
  ['sha3-384', 48],
  ['sha3-512', 64],
];

// Kernels before 5.19 print the same algorithm with its size.
const ALIASES: ReadonlyMap<string, string> = new Map([['sm3-256', 'sm3']]);

/** All algorithms that an entry can name, by their id. */
export const IMA_HASH_ALGOS: readonly ImaHashAlgo[] = ALGORITHMS.map(([name, sizeBytes], id) => ({
  id,
  name,
  sizeBytes,
}));

const BY_NAME = new Map(IMA_HASH_ALGOS.map((algo) => [algo.name, algo]));

/** The algorithm that the kernel prints as `name`, else undefined. */
export function imaHashAlgo(name: string): ImaHashAlgo | undefined {
  return BY_NAME.get(ALIASES.get(name) ?? name);
}
