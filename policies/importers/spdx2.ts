import Type from 'typebox';
import type { PackageRef } from '../digests/digest-entry.ts';
import { parseDocument } from './document.ts';
import { absolutePath, type ImportSink } from './report.ts';

/** As much of SPDX 2.2 and 2.3 (JSON) as says which bytes are at which path. */
const Spdx2 = Type.Object({
  spdxVersion: Type.Enum(['SPDX-2.2', 'SPDX-2.3']),
  packages: Type.Optional(
    Type.Array(
      Type.Object({
        SPDXID: Type.String(),
        name: Type.String(),
        versionInfo: Type.Optional(Type.String()),
        hasFiles: Type.Optional(Type.Array(Type.String())),
        externalRefs: Type.Optional(Type.Array(Type.Object({ referenceLocator: Type.String() }))),
      }),
    ),
  ),
  files: Type.Optional(
    Type.Array(
      Type.Object({
        SPDXID: Type.String(),
        fileName: Type.String(),
        checksums: Type.Optional(
          Type.Array(Type.Object({ algorithm: Type.String(), checksumValue: Type.String() })),
        ),
      }),
    ),
  ),
  relationships: Type.Optional(
    Type.Array(
      Type.Object({
        spdxElementId: Type.String(),
        relationshipType: Type.String(),
        relatedSpdxElement: Type.String(),
      }),
    ),
  ),
});

/**
 * Takes every file with a strong checksum. Its package is the one that lists it (`hasFiles`) or contains it by a
 * relationship.
 *
 * @throws {AssayError} `invalid-request` for another format or version
 */
export function importSpdx2(text: string, sink: ImportSink, root = '/'): void {
  const {
    packages = [],
    files = [],
    relationships = [],
  } = parseDocument(text, Spdx2, 'an SPDX 2.3 JSON document');
  const refs = new Map(
    packages.map((one): [string, PackageRef] => {
      const purl = one.externalRefs?.find(({ referenceLocator }) => referenceLocator.startsWith('pkg:'));
      const arch = /[?&]arch=([^&#]+)/.exec(purl?.referenceLocator ?? '')?.[1] ?? '';
      return [one.SPDXID, { name: one.name, version: one.versionInfo ?? '', arch }];
    }),
  );
  const owner = new Map<string, PackageRef | undefined>();
  for (const { SPDXID, hasFiles = [] } of packages) {
    for (const file of hasFiles) owner.set(file, refs.get(SPDXID));
  }
  for (const { spdxElementId, relationshipType, relatedSpdxElement } of relationships) {
    if (relationshipType === 'CONTAINS' && refs.has(spdxElementId)) {
      owner.set(relatedSpdxElement, refs.get(spdxElementId));
    }
    if (relationshipType === 'CONTAINED_BY' && refs.has(relatedSpdxElement)) {
      owner.set(spdxElementId, refs.get(relatedSpdxElement));
    }
  }
  for (const { SPDXID, fileName, checksums = [] } of files) {
    const digests = checksums.map(({ algorithm, checksumValue }) => ({ algorithm, hex: checksumValue }));
    sink.addStated(absolutePath(fileName, root), digests, owner.get(SPDXID));
  }
}
