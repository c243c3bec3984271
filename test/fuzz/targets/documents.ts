import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { authenticodeDigest } from '../../../core/pe/authenticode.ts';
import { kernelWords } from '../../../policies/boot/kernel-words.ts';
import { DigestSetBuilder } from '../../../policies/digests/build.ts';
import type { DigestName } from '../../../policies/digests/digest-entry.ts';
import { DigestSet } from '../../../policies/digests/digest-set.ts';
import { importCycloneDx } from '../../../policies/importers/cyclonedx.ts';
import { importKeylimePolicy } from '../../../policies/importers/keylime.ts';
import { ImportSink } from '../../../policies/importers/report.ts';
import { importSpdx2 } from '../../../policies/importers/spdx2.ts';
import { importSpdx3 } from '../../../policies/importers/spdx3.ts';
import { importSyft } from '../../../policies/importers/syft.ts';
import { parsePolicy } from '../../../policies/language/parse.ts';
import { compileGlob } from '../../../policies/path-glob.ts';
import { peImage } from '../../fakes/pe-image.ts';
import { badInput, bytesOf, target, textOf, vectorFile } from './target.ts';

export const PROFILES = fileURLToPath(new URL('../../../policies/profiles', import.meta.url));
const HASH = 'ab'.repeat(32);
const POLICY_WORDS = [
  'boot:',
  'ima:',
  'when:',
  'any',
  'allow:',
  'sha256:',
  '\n  ',
  ': ',
  '- ',
  '{',
  '}',
  '[',
  ']',
];

const CYCLONEDX = {
  ...{ bomFormat: 'CycloneDX', specVersion: '1.6' },
  components: [{ type: 'file', name: '/a', hashes: [{ alg: 'SHA-256', content: HASH }] }],
};
const SPDX2 = {
  ...{ spdxVersion: 'SPDX-2.3', packages: [], relationships: [] },
  files: [
    { SPDXID: 'SPDXRef-a', fileName: './a', checksums: [{ algorithm: 'SHA256', checksumValue: HASH }] },
  ],
};
const SPDX3 = {
  '@context': 'https://spdx.org/rdf/3.0.1/spdx-context.jsonld',
  '@graph': [
    {
      ...{ type: 'software_File', spdxId: 'x', name: '/a' },
      verifiedUsing: [{ type: 'Hash', algorithm: 'sha256', hashValue: HASH }],
    },
  ],
};
const SYFT = {
  descriptor: { name: 'syft' },
  artifacts: [{ id: 'p', name: 'a', version: '1' }],
  files: [{ id: 'f', location: { path: '/a' }, digests: [{ algorithm: 'sha256', value: HASH }] }],
  artifactRelationships: [{ parent: 'p', child: 'f', type: 'contains' }],
};
const KEYLIME = {
  ...{ meta: { version: 1 }, digests: { '/a': [HASH] } },
  ...{ excludes: [], keyrings: {}, ima: { ignored_keyrings: [] } },
};

function importer(name: string, seed: object, read: (content: string, sink: ImportSink) => void) {
  const run = (bytes: Uint8Array) => read(textOf(bytes), new ImportSink(new DigestSetBuilder()));
  return target(name, () => [bytesOf(JSON.stringify(seed))], run);
}

function digestSet(algorithm: DigestName = 'sha256'): Uint8Array {
  const builder = new DigestSetBuilder();
  for (let index = 0; index < 20; index += 1) {
    const digest = new Uint8Array(32).fill(index);
    builder.add({ path: bytesOf(`/usr/bin/${index}`), algorithm, digest });
  }
  return builder.build();
}

export const DOCUMENT_TARGETS = [
  target(
    'policy',
    () => readdirSync(PROFILES).map((name) => new Uint8Array(readFileSync(`${PROFILES}/${name}`))),
    (bytes) => parsePolicy(textOf(bytes)),
    { words: POLICY_WORDS },
  ),
  target('digest-set', () => [digestSet(), digestSet('authenticode-sha256')], DigestSet.parse),
  target(
    'pe-image',
    () => [vectorFile('pe/signed-sbsign.efi'), vectorFile('pe/pe32-sha384.efi'), peImage({ directories: 4 })],
    (bytes) => authenticodeDigest(bytes, 'sha256'),
  ),
  importer('cyclonedx', CYCLONEDX, importCycloneDx),
  importer('spdx2', SPDX2, importSpdx2),
  importer('spdx3', SPDX3, importSpdx3),
  importer('syft', SYFT, importSyft),
  importer('keylime-policy', KEYLIME, importKeylimePolicy),
  target(
    'path-glob',
    () => [bytesOf('/usr/**/x?*')],
    (bytes) => compileGlob(textOf(bytes)),
    {
      expects: (error) => badInput(error) || error instanceof RangeError,
      words: ['**', '*', '?', '/'],
    },
  ),
  target(
    'kernel-words',
    () => [bytesOf('root=/dev/vda "a b"=c -- x')],
    (bytes) => kernelWords(textOf(bytes)),
    {
      words: ['"', '=', ' ', '--'],
    },
  ),
];
