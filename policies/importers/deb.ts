import { hash } from 'node:crypto';
import { AssayError } from '../../core/errors.ts';
import type { PackageRef } from '../digests/digest-entry.ts';
import { chunkOf, collect, tarMembers } from './archive.ts';
import type { ImportSink } from './report.ts';
import { importTar, type PathRules } from './rootfs.ts';

const AR_MAGIC = '!<arch>\n';
const AR_HEADER_BYTES = 60;
const MAX_CONTROL_BYTES = 1024 * 1024;

/**
 * A Debian package (deb(5)): every regular file in it, hashed. What its own list of MD5 sums says is not asked.
 *
 * @throws {AssayError} `invalid-request` for what is no Debian package
 */
export async function importDeb(bytes: Uint8Array, sink: ImportSink, rules: PathRules): Promise<PackageRef> {
  const members = arMembers(bytes);
  const control = memberNamed(members, 'control.tar');
  const from = await packageOf(control);
  await importTar(chunkOf(memberNamed(members, 'data.tar')), sink, rules, from);
  return from;
}

/** Hex SHA-256 of a package, as a repository's index states it. */
export function debSha256(bytes: Uint8Array): string {
  return hash('sha256', bytes);
}

async function packageOf(control: Uint8Array): Promise<PackageRef> {
  for await (const { name, content } of tarMembers(chunkOf(control))) {
    if (name.replace(/^\.\//, '') !== 'control') continue;
    const text = Buffer.from(await collect(content, MAX_CONTROL_BYTES)).toString('utf8');
    const fields = parseStanza(text);
    const name_ = fields.get('package');
    const version = fields.get('version');
    if (name_ === undefined || version === undefined)
      throw invalid('its control file names no package or version');
    return { name: name_, version, arch: fields.get('architecture') ?? '' };
  }
  throw invalid('it holds no control file');
}

/** One paragraph of deb822(5): field names in lower case; continued lines are joined. */
export function parseStanza(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  let last = '';
  for (const line of text.split('\n')) {
    const field = /^([!-9;-~]+):[ \t]*(.*)$/.exec(line);
    if (field) {
      last = (field[1] ?? '').toLowerCase();
      fields.set(last, field[2]?.trimEnd() ?? '');
    } else if (/^[ \t]/.test(line) && last !== '') {
      fields.set(last, `${fields.get(last)}\n${line.trim()}`);
    }
  }
  return fields;
}

function memberNamed(members: ReadonlyMap<string, Uint8Array>, prefix: string): Uint8Array {
  for (const [name, content] of members) if (name === prefix || name.startsWith(`${prefix}.`)) return content;
  throw invalid(`it holds no ${prefix}`);
}

function arMembers(bytes: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.toString('latin1', 0, AR_MAGIC.length) !== AR_MAGIC)
    throw invalid('it does not begin as an ar archive');
  const members = new Map<string, Uint8Array>();
  let at = AR_MAGIC.length;
  while (at < view.length) {
    const header = view.toString('latin1', at, at + AR_HEADER_BYTES);
    const size = Number(header.slice(48, 58));
    const start = at + AR_HEADER_BYTES;
    if (header.slice(58) !== '`\n' || !Number.isSafeInteger(size) || size < 0 || start + size > view.length) {
      throw invalid(`its archive is broken at byte ${at}`);
    }
    members.set(header.slice(0, 16).trimEnd().replace(/\/$/, ''), view.subarray(start, start + size));
    at = start + size + (size % 2);
  }
  return members;
}

function invalid(problem: string): AssayError {
  return new AssayError('invalid-request', `this is no Debian package: ${problem}`);
}
