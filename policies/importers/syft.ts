import Type from 'typebox';
import type { PackageRef } from '../digests/digest-entry.ts';
import { parseDocument } from './document.ts';
import type { ImportSink, StatedDigest } from './report.ts';

const Digest = Type.Object({ algorithm: Type.String(), value: Type.String() });

/** As much of syft's own JSON as says which bytes are at which path. */
const Syft = Type.Object({
  descriptor: Type.Object({ name: Type.Literal('syft') }),
  artifacts: Type.Array(
    Type.Object({
      id: Type.String(),
      name: Type.String(),
      version: Type.Optional(Type.String()),
      metadata: Type.Optional(
        Type.Object({
          architecture: Type.Optional(Type.String()),
          files: Type.Optional(
            Type.Array(Type.Object({ path: Type.Optional(Type.String()), digest: Type.Optional(Digest) })),
          ),
        }),
      ),
    }),
  ),
  files: Type.Optional(
    Type.Array(
      Type.Object({
        id: Type.String(),
        location: Type.Object({ path: Type.String() }),
        metadata: Type.Optional(Type.Object({ type: Type.Optional(Type.String()) })),
        digests: Type.Optional(Type.Array(Digest)),
      }),
    ),
  ),
  artifactRelationships: Type.Optional(
    Type.Array(Type.Object({ parent: Type.String(), child: Type.String(), type: Type.String() })),
  ),
});

/**
 * Takes the hashed files of the catalogue; a package's own list of files says whose they are, and adds those that the
 * catalogue does not have, where their hash is strong enough (dpkg's MD5 is not).
 *
 * @throws {AssayError} `invalid-request` for something else than syft's JSON
 */
export function importSyft(text: string, sink: ImportSink): void {
  const { artifacts, files = [], artifactRelationships = [] } = parseDocument(text, Syft, "syft's JSON");
  const refs = new Map<string, PackageRef>();
  const ownerOfPath = new Map<string, PackageRef>();
  const listed = new Map<string, StatedDigest[]>();
  for (const { id, name, version = '', metadata } of artifacts) {
    const ref = { name, version, arch: metadata?.architecture ?? '' };
    refs.set(id, ref);
    for (const { path, digest } of metadata?.files ?? []) {
      if (path === undefined) continue;
      ownerOfPath.set(path, ref);
      if (digest) listed.set(path, [{ algorithm: digest.algorithm, hex: digest.value }]);
    }
  }
  const ownerOfFile = new Map(
    artifactRelationships
      .filter(({ parent, type }) => type === 'contains' && refs.has(parent))
      .map(({ parent, child }) => [child, refs.get(parent)]),
  );
  for (const { id, location, digests = [], metadata } of files) {
    // Directories and links have no content of their own.
    if (digests.length === 0 && metadata?.type !== undefined && metadata.type !== 'RegularFile') continue;
    const stated = digests.map(({ algorithm, value }) => ({ algorithm, hex: value }));
    listed.delete(location.path);
    sink.addStated(location.path, stated, ownerOfFile.get(id) ?? ownerOfPath.get(location.path));
  }
  for (const [path, digests] of listed) sink.addStated(path, digests, ownerOfPath.get(path));
}
