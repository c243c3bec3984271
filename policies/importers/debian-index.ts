import { AssayError } from '../../core/errors.ts';
import { unpackSmall } from './archive.ts';
import { debSha256, importDeb, parseStanza } from './deb.ts';
import type { ImportSink } from './report.ts';
import type { PathRules } from './rootfs.ts';

/** A package as a repository's index lists it. */
export interface IndexedPackage {
  readonly name: string;
  readonly version: string;
  /** Relative to the top of the repository, such as `pool/main/c/curl/curl_8.5.0-1_amd64.deb`. */
  readonly filename: string;
  readonly sha256: string;
}

/** The index of a Debian repository (`Packages`, plain or compressed). @throws {AssayError} for an entry without SHA256 */
export async function parseDebianIndex(bytes: Uint8Array): Promise<readonly IndexedPackage[]> {
  const text = Buffer.from(await unpackSmall(bytes)).toString('utf8');
  const stanzas = text.split(/\n(?:[ \t]*\n)+/).filter((stanza) => stanza.trim() !== '');
  return stanzas.map((stanza) => {
    const fields = parseStanza(stanza);
    const [name, version, filename, sha256] = ['package', 'version', 'filename', 'sha256'].map((field) =>
      fields.get(field),
    );
    if (name === undefined || version === undefined || filename === undefined) {
      throw new AssayError('invalid-request', 'the index has an entry without Package, Version or Filename');
    }
    if (sha256 === undefined || !/^[0-9a-f]{64}$/i.test(sha256)) {
      throw new AssayError('invalid-request', `the index has no SHA256 for ${name} ${version}`);
    }
    return { name, version, filename, sha256: sha256.toLowerCase() };
  });
}

/** A package of the index, when it is what the index says. */
export async function importIndexed(
  indexed: IndexedPackage,
  bytes: Uint8Array | undefined,
  sink: ImportSink,
  rules: PathRules,
): Promise<void> {
  const { filename, sha256 } = indexed;
  if (!bytes) sink.skip('a package of the index that is not in the pool', filename);
  else if (debSha256(bytes) !== sha256) sink.skip("a package whose SHA-256 is not the index's", filename);
  else await importDeb(bytes, sink, rules);
}
