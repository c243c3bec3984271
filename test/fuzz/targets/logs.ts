import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { inspectEventLog } from '../../../core/eventlog/index.ts';
import { parseImaAscii } from '../../../core/ima/ascii.ts';
import { parseImaList } from '../../../core/ima/binary.ts';
import { imaBuffer } from '../../../core/ima/buffer.ts';
import { parseDetachedCms } from '../../../core/ima/cms.ts';
import { imaEntry } from '../../../core/ima/entry.ts';
import { evmXattrs } from '../../../core/ima/evm.ts';
import { imaStart, replayIma } from '../../../core/ima/replay.ts';
import { replayImaPlain } from '../../../core/ima/replay-plain.ts';
import { parseImaSignature } from '../../../core/ima/signature.ts';
import { bytesOf, target, vectorFile, vectorJson } from './target.ts';

const VECTORS = fileURLToPath(new URL('../../vectors', import.meta.url));
const JSON_WORDS = ['"digests"', '"hashAlg"', '"sha256"', '"content"', '\x1e', '[', '{', '}', ']', ':', ','];
const IMA_WORDS = ['ima-ng', 'ima-sig', 'ima-buf', 'sha256:', ' 10 ', '\n', 'boot_aggregate'];
const BANKS = ['sha256', 'sha1'] as const;
const LOOKED_AT = 200;

/** That file of each recorded boot. */
function boots(folder: string, name: string): readonly Uint8Array[] {
  const made = readdirSync(`${VECTORS}/${folder}`, { withFileTypes: true, recursive: true });
  return made
    .filter((entry) => entry.isFile() && entry.name === name)
    .map(({ parentPath }) => vectorFile(`${parentPath.slice(VECTORS.length + 1)}/${name}`));
}

const SYSTEMD = `\x1e{"pcr":11,"digests":[{"hashAlg":"sha256","digest":"${'ab'.repeat(32)}"}],"content_type":"systemd","content":{"string":"enter-initrd","bootId":"x","timestamp":1,"eventType":"phase"}}\n`;
const CANONICAL =
  '[{"recnum":0,"pcr":11,"digests":[],"content_type":"pcclient_std","content":{"event_type":4}}]';

/** The kernel in WebAssembly and its plain twin lead to the same place; every entry can be looked at. */
function replayBothWays(bytes: Uint8Array): void {
  const list = parseImaList(bytes);
  // No list leads there: all of it is replayed.
  const quoted = new Map(BANKS.map((bank) => [bank, new Uint8Array(bank === 'sha1' ? 20 : 32).fill(1)]));
  const fast = replayIma(list, imaStart(BANKS), quoted);
  if (!isDeepStrictEqual(fast, replayImaPlain(list, imaStart(BANKS), quoted))) {
    throw new Error('the two ways to replay do not agree');
  }
  for (let index = 0; index < Math.min(list.length, LOOKED_AT); index += 1) {
    const entry = imaEntry(list, index);
    evmXattrs(entry);
    imaBuffer(entry);
  }
}

/** Of files of a real boot. */
function signatures(): readonly Uint8Array[] {
  const list = parseImaList(vectorFile('ima/ima-sig/binary_runtime_measurements'));
  const all = Array.from({ length: list.length }, (_, index) => imaEntry(list, index).fields.get('sig'));
  return all.filter((bytes) => bytes !== undefined && bytes.length > 0) as Uint8Array[];
}

function cms(): readonly Uint8Array[] {
  return Object.values(vectorJson<Record<string, unknown>>('ima/cms.json'))
    .flatMap((value) => (typeof value === 'object' && value !== null ? Object.values(value) : []))
    .filter((value): value is string => typeof value === 'string' && /^30[0-9a-f]+$/.test(value))
    .map((hex) => new Uint8Array(Buffer.from(hex, 'hex')));
}

export const LOG_TARGETS = [
  target('event-log', () => boots('eventlog', 'binary_bios_measurements'), inspectEventLog),
  target('cel-json', () => [bytesOf(SYSTEMD), bytesOf(CANONICAL)], inspectEventLog, { words: JSON_WORDS }),
  target('ima-binary', () => boots('ima', 'binary_runtime_measurements'), replayBothWays),
  target('ima-ascii', () => [vectorFile('evidence/sb-clean-1/ascii_runtime_measurements')], parseImaAscii, {
    words: IMA_WORDS,
  }),
  target('ima-signature', signatures, parseImaSignature),
  target('cms', cms, parseDetachedCms),
];
