import { AssayError } from '../../core/errors.ts';

/** What digests can be imported from. */
export const FORMATS = {
  cyclonedx: 'CycloneDX 1.4 to 1.7, JSON',
  spdx: 'SPDX 2.2, 2.3 or 3.0, JSON',
  syft: "syft's own JSON",
  keylime: 'a Keylime runtime policy of version 1',
  ima: 'an IMA measurement list of a node that is known to be good',
  deb: 'a Debian package, with its data in gzip, xz, zstd or plain',
  rpm: 'an RPM package',
  tar: 'a root file system as a tar archive, plain or compressed with gzip, xz or zstd',
  directory: 'a root file system in a directory',
  'debian-repository': 'a directory with dists/ and pool/, as a Debian mirror has them',
} as const;
export type Format = keyof typeof FORMATS;

export function isFormat(name: string): name is Format {
  return Object.hasOwn(FORMATS, name);
}

/** What a file is, by its first bytes and, for JSON, by what every such document says of itself. */
export function detectFormat(name: string, head: Uint8Array, whole: () => string): Format {
  const text = Buffer.from(head).toString('latin1');
  if (text.startsWith('!<arch>\n')) return 'deb';
  if (text.startsWith('\xed\xab\xee\xdb')) return 'rpm';
  if (/^\s*\{/.test(text)) return detectJson(name, whole());
  const isCompressed = ['\x1f\x8b', '\x28\xb5\x2f\xfd', '\xfd7zXZ'].some((magic) => text.startsWith(magic));
  if (isCompressed || text.slice(257, 262) === 'ustar') return 'tar';
  if (/^\s*\d{1,2} [0-9a-f]{40,128} /.test(text) || text.startsWith('\x0a\0\0\0')) return 'ima';
  throw unknown(name);
}

function detectJson(name: string, text: string): Format {
  const has = (pattern: RegExp) => pattern.test(text);
  if (has(/"bomFormat"\s*:\s*"CycloneDX"/)) return 'cyclonedx';
  if (has(/"spdxVersion"\s*:\s*"SPDX-/) || has(/"@context"\s*:\s*"https:\/\/spdx\.org\//)) return 'spdx';
  if (has(/"name"\s*:\s*"syft"/) && has(/"artifacts"\s*:/)) return 'syft';
  if (has(/"digests"\s*:/) && has(/"meta"\s*:/)) return 'keylime';
  throw unknown(name);
}

function unknown(name: string): AssayError {
  const list = Object.entries(FORMATS).map(([format, what]) => `\n  ${format}: ${what}`);
  return new AssayError(
    'invalid-request',
    `${name} is in no format that is recognised; name it with --format, one of:${list.join('')}`,
  );
}
