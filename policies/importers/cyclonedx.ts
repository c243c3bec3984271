import Type, { type Static } from 'typebox';
import type { PackageRef } from '../digests/digest-entry.ts';
import { parseDocument } from './document.ts';
import { absolutePath, type ImportSink } from './report.ts';

const Hash = Type.Object({ alg: Type.String(), content: Type.String() });
const Component = Type.Cyclic(
  {
    Component: Type.Object({
      type: Type.String(),
      name: Type.String(),
      version: Type.Optional(Type.String()),
      purl: Type.Optional(Type.String()),
      hashes: Type.Optional(Type.Array(Hash)),
      evidence: Type.Optional(
        Type.Object({ occurrences: Type.Optional(Type.Array(Type.Object({ location: Type.String() }))) }),
      ),
      components: Type.Optional(Type.Array(Type.Ref('Component'))),
    }),
  },
  'Component',
);
type Component = Static<typeof Component>;

/** As much of CycloneDX 1.4 to 1.7 (JSON) as says which bytes are at which path. */
const CycloneDx = Type.Object({
  bomFormat: Type.Literal('CycloneDX'),
  specVersion: Type.Enum(['1.4', '1.5', '1.6', '1.7']),
  metadata: Type.Optional(Type.Object({ component: Type.Optional(Component) })),
  components: Type.Optional(Type.Array(Component)),
});

const MAX_DEPTH = 64;

/**
 * Takes components of type `file` at their name, and components of any type at each place where the document says that
 * they were found (`evidence.occurrences`). The package is the nearest component above that is not a file.
 *
 * @throws {AssayError} `invalid-request` for another format or version, or when no hash in it can be used
 */
export function importCycloneDx(text: string, sink: ImportSink, root = '/'): void {
  const { metadata, components = [] } = parseDocument(
    text,
    CycloneDx,
    'a CycloneDX 1.4 to 1.7 JSON document',
  );
  const top = metadata?.component;
  for (const component of [...(top ? [top] : []), ...components]) take(component, undefined, 0);

  function take(component: Component, above: PackageRef | undefined, depth: number): void {
    if (depth > MAX_DEPTH) {
      sink.skip(`nested deeper than ${MAX_DEPTH} components`, component.name);
      return;
    }
    const own = component.type === 'file' ? above : packageOf(component);
    const places = placesOf(component);
    const digests = (component.hashes ?? []).map(({ alg, content }) => ({ algorithm: alg, hex: content }));
    for (const place of places) sink.addStated(absolutePath(place, root), digests, own);
    // A hash of a package is of its archive, and nobody measures that.
    if (places.length === 0 && digests.length > 0)
      sink.skip('the hash is of a component without a path', component.name);
    for (const child of component.components ?? []) take(child, own, depth + 1);
  }
}

function placesOf({ type, name, evidence }: Component): readonly string[] {
  const found = (evidence?.occurrences ?? []).map(({ location }) => location);
  if (found.length > 0) return found;
  return type === 'file' ? [name] : [];
}

function packageOf({ name, version = '', purl }: Component): PackageRef {
  const arch = /[?&]arch=([^&#]+)/.exec(purl ?? '')?.[1] ?? '';
  return { name, version, arch };
}
