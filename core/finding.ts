/**
 * One thing that was found wrong, or worth telling. Rule codes are stable and documented. Text that a node chose is
 * escaped in every member.
 */
export interface Finding {
  /** Stable code, such as `quote.nonce` (docs/threat-model.md). */
  readonly rule: string;
  /** What was expected and what came, in a sentence. */
  readonly message: string;
  /** The PCR it is about, if one. */
  readonly pcr?: number;
  /** The event of a boot log that it is about, if one. */
  readonly event?: EventRef;
  /** The file that it is about, if one. */
  readonly file?: FileRef;
  /** What was found, where that is one value: `sha256:` and hex of a file, hex of a digest, a text. */
  readonly found?: string;
  /** What is accepted in its place; the first few where there are many. */
  readonly expected?: readonly string[];
  /** What to do about it. */
  readonly remedy?: string;
}

/** An event of a boot log, by its place in it, from 0. */
export interface EventRef {
  readonly log: 'firmware' | 'userspace';
  readonly index: number;
}

/** A file in IMA's measurement list. */
export interface FileRef {
  readonly path: string;
  /** Its place in the whole list of this boot, from 0. */
  readonly entry: number;
  /** The package that exactly these bytes are of at this path, with version and architecture, as far as any digest set knows. */
  readonly package?: string;
  /** The packages of which the policy knows this path. */
  readonly expectedPackages?: readonly string[];
}
