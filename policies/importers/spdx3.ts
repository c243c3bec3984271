import Type from 'typebox';
import Value from 'typebox/value';
import type { PackageRef } from '../digests/digest-entry.ts';
import { parseDocument } from './document.ts';
import { absolutePath, type ImportSink } from './report.ts';

const Spdx3 = Type.Object({
  '@context': Type.String({ pattern: '^https://spdx\\.org/rdf/3\\.0\\.[01]/' }),
  '@graph': Type.Array(Type.Object({ type: Type.String() })),
});
const File = Type.Object({
  type: Type.Literal('software_File'),
  spdxId: Type.String(),
  name: Type.String(),
  verifiedUsing: Type.Optional(
    Type.Array(
      Type.Object({ algorithm: Type.Optional(Type.String()), hashValue: Type.Optional(Type.String()) }),
    ),
  ),
});
const Package = Type.Object({
  type: Type.Literal('software_Package'),
  spdxId: Type.String(),
  name: Type.String(),
  software_packageVersion: Type.Optional(Type.String()),
  software_packageUrl: Type.Optional(Type.String()),
});
const Contains = Type.Object({
  type: Type.Enum(['Relationship', 'LifecycleScopedRelationship']),
  relationshipType: Type.Literal('contains'),
  from: Type.String(),
  to: Type.Array(Type.String()),
});

/**
 * SPDX 3.0 as JSON-LD in its one-graph form: files with their hashes, and the package that contains them.
 *
 * @throws {AssayError} `invalid-request` for another format or version
 */
export function importSpdx3(text: string, sink: ImportSink, root = '/'): void {
  const { '@graph': graph } = parseDocument(text, Spdx3, 'an SPDX 3.0 JSON-LD document');
  const packages = new Map<string, PackageRef>();
  for (const element of graph) {
    if (!Value.Check(Package, element)) continue;
    const arch = /[?&]arch=([^&#]+)/.exec(element.software_packageUrl ?? '')?.[1] ?? '';
    packages.set(element.spdxId, {
      name: element.name,
      version: element.software_packageVersion ?? '',
      arch,
    });
  }
  const owner = new Map<string, PackageRef | undefined>();
  for (const element of graph) {
    if (!Value.Check(Contains, element) || !packages.has(element.from)) continue;
    for (const file of element.to) owner.set(file, packages.get(element.from));
  }
  for (const element of graph) {
    if (element.type !== 'software_File') continue;
    if (!Value.Check(File, element)) {
      sink.skip('the file has no spdxId or no name', JSON.stringify(element).slice(0, 100));
      continue;
    }
    const digests = (element.verifiedUsing ?? []).flatMap(({ algorithm, hashValue }) =>
      algorithm === undefined || hashValue === undefined ? [] : [{ algorithm, hex: hashValue }],
    );
    sink.addStated(absolutePath(element.name, root), digests, owner.get(element.spdxId));
  }
}
