/** Algorithms that a file digest may have. MD5 and SHA-1 are not among them: a second file with the same digest can be made. */
export const FILE_DIGESTS = { sha256: 32, sha384: 48, sha512: 64 } as const;
export type FileDigestName = keyof typeof FILE_DIGESTS;

/**
 * Authenticode digests of EFI images, which firmware measures before it runs one. They are no digests of files: what is
 * known as an image is not allowed as a file, and the other way round.
 */
const IMAGE_DIGESTS = {
  'authenticode-sha256': 32,
  'authenticode-sha384': 48,
  'authenticode-sha512': 64,
} as const;
export type ImageDigestName = keyof typeof IMAGE_DIGESTS;

export const DIGESTS = { ...FILE_DIGESTS, ...IMAGE_DIGESTS } as const;
export type DigestName = keyof typeof DIGESTS;

/** What a file came with. Empty strings where the source does not say. */
export interface PackageRef {
  readonly name: string;
  readonly version: string;
  readonly arch: string;
}

/** One file that may be measured: these bytes at this path, or this image, wherever firmware finds it. */
export interface DigestEntry {
  /** Absolute, as the kernel reports it; bytes, since a path need not be text. */
  readonly path: Uint8Array;
  readonly algorithm: DigestName;
  readonly digest: Uint8Array;
  readonly package?: PackageRef;
}

/** Where the digests of a set came from. */
export interface DigestSource {
  /** Such as `cyclonedx`, `deb`, `directory`, `learned`. */
  readonly kind: string;
  /** Hex SHA-256 of the source's bytes, when it is one file. */
  readonly sha256?: string;
}

export function isFileDigestName(name: string): name is FileDigestName {
  return Object.hasOwn(FILE_DIGESTS, name);
}

/** The digest of an image in the bank of a TPM. */
export function imageDigestName(algorithm: FileDigestName): ImageDigestName {
  return `authenticode-${algorithm}`;
}
