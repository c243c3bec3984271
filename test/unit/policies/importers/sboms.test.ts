import { hash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { DigestSetBuilder } from '../../../../policies/digests/build.ts';
import { importCycloneDx } from '../../../../policies/importers/cyclonedx.ts';
import { importKeylimePolicy } from '../../../../policies/importers/keylime.ts';
import { ImportSink } from '../../../../policies/importers/report.ts';
import { importSpdx2 } from '../../../../policies/importers/spdx2.ts';
import { importSpdx3 } from '../../../../policies/importers/spdx3.ts';
import { importSyft } from '../../../../policies/importers/syft.ts';
import { importing } from './importing.ts';

const sha = (content: string) => hash('sha256', content);
const short = (content: string) => sha(content).slice(0, 8);
const SHA1 = 'da39a3ee5e6b4b0d3255bfef95601890afd80709';

describe('CycloneDX', () => {
  const file = (name: string, content: string) => ({
    type: 'file',
    name,
    hashes: [{ alg: 'SHA-256', content: sha(content) }],
  });
  const document = (components: readonly object[], specVersion = '1.6') =>
    JSON.stringify({ bomFormat: 'CycloneDX', specVersion, components });

  test('files, nested in what they belong to, and places where a component was found', async () => {
    const text = document([
      {
        ...{
          type: 'library',
          name: 'curl',
          version: '8.5.0-1',
          purl: 'pkg:deb/debian/curl@8.5.0-1?arch=amd64&distro=x',
        },
        components: [
          file('/usr/bin/curl', 'curl'),
          { ...file('usr/share/x', 'x'), components: [file('/deep', 'd')] },
        ],
      },
      {
        ...{ type: 'application', name: 'app', version: '1' },
        hashes: [{ alg: 'SHA-512', content: hash('sha512', 'app') }],
        evidence: { occurrences: [{ location: '/opt/app' }, { location: '/srv/app' }] },
      },
      file('/loose', 'l'),
    ]);
    const { files, skipped } = await importing((sink) => importCycloneDx(text, sink));
    expect(files).toEqual([
      `/deep sha256 ${short('d')} curl 8.5.0-1 amd64`,
      `/loose sha256 ${short('l')}`,
      `/opt/app sha512 ${hash('sha512', 'app').slice(0, 8)} app 1`,
      `/srv/app sha512 ${hash('sha512', 'app').slice(0, 8)} app 1`,
      `/usr/bin/curl sha256 ${short('curl')} curl 8.5.0-1 amd64`,
      `/usr/share/x sha256 ${short('x')} curl 8.5.0-1 amd64`,
    ]);
    expect(skipped).toEqual([]);
  });

  test.each(['1.4', '1.5', '1.6', '1.7'])('version %s is read', async (version) => {
    const { taken } = await importing((sink) => importCycloneDx(document([file('/a', 'a')], version), sink));
    expect(taken).toBe(1);
  });

  test('the hash of a package is not that of a file', async () => {
    const text = document([
      { type: 'library', name: 'lodash', hashes: [{ alg: 'SHA-256', content: sha('tgz') }] },
    ]);
    const { taken, skipped } = await importing((sink) => importCycloneDx(text, sink));
    expect(taken).toBe(0);
    expect(skipped).toEqual([
      { reason: 'the hash is of a component without a path', count: 1, examples: ['lodash'] },
    ]);
  });

  test.each([
    [
      'another version',
      document([], '1.3'),
      /CycloneDX 1.4 to 1.7 JSON document is expected: \/specVersion .*, and is "/,
    ],
    [
      'another format',
      JSON.stringify({ spdxVersion: 'SPDX-2.3' }),
      /CycloneDX 1.4 to 1.7 JSON document is expected/,
    ],
    ['no JSON', '<bom/>', /is expected, and this is not JSON/],
  ])('%s is refused', (_what, text, message) => {
    expect(() => importCycloneDx(text, new ImportSink(new DigestSetBuilder()))).toThrow(message);
  });

  test('nesting has an end', async () => {
    let component: object = file('/deepest', 'x');
    for (let depth = 0; depth < 200; depth += 1)
      component = { type: 'library', name: `n${depth}`, components: [component] };
    const { skipped } = await importing((sink) => importCycloneDx(document([component]), sink));
    expect(skipped[0]?.reason).toBe('nested deeper than 64 components');
  });
});

describe('SPDX 2', () => {
  test('files with the package that has or contains them', async () => {
    const checksums = (content: string) => [
      { algorithm: 'SHA1', checksumValue: SHA1 },
      { algorithm: 'SHA256', checksumValue: sha(content).toUpperCase() },
    ];
    const text = JSON.stringify({
      spdxVersion: 'SPDX-2.3',
      packages: [
        { SPDXID: 'SPDXRef-a', name: 'a', versionInfo: '1', hasFiles: ['SPDXRef-1'] },
        {
          ...{ SPDXID: 'SPDXRef-b', name: 'b', versionInfo: '2' },
          externalRefs: [{ referenceLocator: 'pkg:deb/debian/b@2?arch=arm64' }],
        },
      ],
      files: [
        { SPDXID: 'SPDXRef-1', fileName: './usr/bin/a', checksums: checksums('a') },
        { SPDXID: 'SPDXRef-2', fileName: '/usr/bin/b', checksums: checksums('b') },
        { SPDXID: 'SPDXRef-3', fileName: 'usr/bin/c', checksums: checksums('c') },
        { SPDXID: 'SPDXRef-4', fileName: './weak', checksums: [{ algorithm: 'SHA1', checksumValue: SHA1 }] },
        { SPDXID: 'SPDXRef-5', fileName: './none' },
        {
          SPDXID: 'SPDXRef-6',
          fileName: './odd',
          checksums: [{ algorithm: 'SHA256', checksumValue: 'abc' }],
        },
      ],
      relationships: [
        { spdxElementId: 'SPDXRef-b', relationshipType: 'CONTAINS', relatedSpdxElement: 'SPDXRef-2' },
        { spdxElementId: 'SPDXRef-3', relationshipType: 'CONTAINED_BY', relatedSpdxElement: 'SPDXRef-b' },
      ],
    });
    const { files, skipped } = await importing((sink) => importSpdx2(text, sink, '/chroot'));
    expect(files).toEqual([
      `/chroot/usr/bin/a sha256 ${short('a')} a 1`,
      `/chroot/usr/bin/c sha256 ${short('c')} b 2 arm64`,
      `/usr/bin/b sha256 ${short('b')} b 2 arm64`,
    ]);
    expect(skipped.map(({ reason, examples }) => `${examples}: ${reason}`).sort()).toEqual([
      '/chroot/none: no hash is given',
      '/chroot/odd: the sha256 hash is not 64 hexadecimal digits',
      '/chroot/weak: only weak or unknown hashes are given (SHA1); SHA-256, SHA-384 or SHA-512 is needed',
    ]);
  });
});

test('SPDX 3: files of the graph, and the package that contains them', async () => {
  const text = JSON.stringify({
    '@context': 'https://spdx.org/rdf/3.0.1/spdx-context.jsonld',
    '@graph': [
      { type: 'software_Package', spdxId: 'p', name: 'curl', software_packageVersion: '8' },
      {
        ...{ type: 'software_File', spdxId: 'f', name: './usr/bin/curl' },
        verifiedUsing: [{ type: 'Hash', algorithm: 'sha256', hashValue: sha('curl') }],
      },
      {
        type: 'software_File',
        spdxId: 'g',
        name: '/weak',
        verifiedUsing: [{ algorithm: 'md5', hashValue: 'x' }],
      },
      { type: 'software_File', spdxId: 'h' },
      { type: 'Relationship', spdxId: 'r', relationshipType: 'contains', from: 'p', to: ['f', 'g'] },
      { type: 'Relationship', spdxId: 's', relationshipType: 'describes', from: 'x', to: ['p'] },
    ],
  });
  const { files, skipped } = await importing((sink) => importSpdx3(text, sink));
  expect(files).toEqual([`/usr/bin/curl sha256 ${short('curl')} curl 8`]);
  expect(skipped.map(({ reason }) => reason)).toEqual([
    'only weak or unknown hashes are given (md5); SHA-256, SHA-384 or SHA-512 is needed',
    'the file has no spdxId or no name',
  ]);
});

test("syft: the catalogue's files, whose package the artifacts name; dpkg's MD5 is not taken", async () => {
  const text = JSON.stringify({
    descriptor: { name: 'syft' },
    artifacts: [
      {
        ...{ id: 'a', name: 'curl', version: '8.5.0-1' },
        metadata: {
          architecture: 'amd64',
          files: [
            { path: '/usr/bin/curl', digest: { algorithm: 'md5', value: 'x' } },
            { path: '/usr/share/man/curl.1', digest: { algorithm: 'md5', value: 'y' } },
            { path: '/usr/lib/own', digest: { algorithm: 'sha256', value: sha('own') } },
            { path: '/etc/curl' },
          ],
        },
      },
      { id: 'b', name: 'app', version: '1' },
    ],
    files: [
      {
        id: '1',
        location: { path: '/usr/bin/curl' },
        digests: [{ algorithm: 'sha256', value: sha('curl') }],
      },
      { id: '2', location: { path: '/opt/app' }, digests: [{ algorithm: 'sha256', value: sha('app') }] },
      { id: '3', location: { path: '/bin' }, metadata: { type: 'SymbolicLink' } },
    ],
    artifactRelationships: [{ parent: 'b', child: '2', type: 'contains' }],
  });
  const { files, skipped } = await importing((sink) => importSyft(text, sink));
  expect(files).toEqual([
    `/opt/app sha256 ${short('app')} app 1`,
    `/usr/bin/curl sha256 ${short('curl')} curl 8.5.0-1 amd64`,
    `/usr/lib/own sha256 ${short('own')} curl 8.5.0-1 amd64`,
  ]);
  expect(skipped.flatMap(({ examples }) => examples)).toEqual(['/usr/share/man/curl.1']);
});

test("Keylime's runtime policy: digests by their length, and the rest for a person", async () => {
  let rules: unknown;
  const text = JSON.stringify({
    meta: { version: 1, generator: 3 },
    digests: { '/usr/bin/ls': [sha('ls'), SHA1], '/old': [SHA1], boot_aggregate: [sha('b')] },
    excludes: ['/tmp/.*'],
    keyrings: { '.ima': [sha('k')] },
    ima: { ignored_keyrings: ['.evm'], log_hash_alg: 'sha1', dm_policy: null },
    'ima-buf': { dm_table_load: [sha('d')] },
    'verification-keys': '',
  });
  const { files, skipped } = await importing((sink) => {
    rules = importKeylimePolicy(text, sink);
  });
  expect(files).toEqual([`/usr/bin/ls sha256 ${short('ls')}`]);
  expect(skipped.map(({ examples }) => examples[0]).sort()).toEqual(['/old', 'boot_aggregate']);
  expect(rules).toEqual({
    excludes: ['/tmp/.*'],
    keyrings: { '.ima': [sha('k')] },
    ignoredKeyrings: ['.evm'],
    buffers: { dm_table_load: [sha('d')] },
    verificationKeys: '',
  });
});

test('an import that takes nothing is an error with the count and the reason', () => {
  const sink = new ImportSink(new DigestSetBuilder());
  for (const path of ['/a', '/b']) sink.addStated(path, [{ algorithm: 'SHA-1', hex: SHA1 }]);
  expect(() => sink.checkTaken('sbom.json')).toThrow(
    'sbom.json holds no file hash that can be used: 2 files: only weak or unknown hashes are given (SHA-1); SHA-256, SHA-384 or SHA-512 is needed, such as /a',
  );
  expect(() => new ImportSink(new DigestSetBuilder()).checkTaken('x')).toThrow('it names no files');
});
