import { hash as digestOf } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inspectImaList } from '../../../cli/inspect/ima-list.ts';
import { renderImaList } from '../../../cli/inspect/render-ima-list.ts';
import { toHex } from '../../../core/bytes/encoding.ts';
import { concat } from '../../../core/bytes/writer.ts';
import { AssayError } from '../../../core/errors.ts';
import { parseImaList } from '../../../core/ima/binary.ts';
import { imaEntry, imaTemplateData } from '../../../core/ima/entry.ts';
import { imaStart, replayIma } from '../../../core/ima/replay.ts';
import { digestSize } from '../../../core/tpm/constants.ts';
import { entryBytes } from '../core/ima/vectors.ts';
import { assay } from './policy/harness.ts';

const VECTORS = new URL('../../vectors/ima/', import.meta.url);
const fileOf = (path: string) => fileURLToPath(new URL(path, VECTORS));
const bytesOf = (path: string) => new Uint8Array(readFileSync(fileOf(path)));
interface Boot {
  readonly entries: number;
  readonly templates: Readonly<Record<string, number>>;
  readonly violations: readonly unknown[];
}
const { boots }: { boots: Record<string, Boot> } = JSON.parse(readFileSync(fileOf('boots.json'), 'utf8'));
const SIG = 'ima-sig';
const pcr10 = (bank: string) =>
  inspectImaList(bytesOf(`${SIG}/binary_runtime_measurements`), 'list', { bank: 'sha256' }).replayed[bank] ??
  '';

describe('assay inspect ima', () => {
  test.each(Object.keys(boots).filter((name) => !name.includes('/')))(
    '%s: entries, templates and violations',
    (name) => {
      const file = `${name}/binary_runtime_measurements`;
      const list = inspectImaList(bytesOf(file), name, { bank: 'sha256' });
      expect(list).toMatchObject({
        form: 'binary',
        wrongHash: null,
        templates: boots[name]?.templates ?? {},
      });
      expect(list.entries).toHaveLength(boots[name]?.entries ?? 0);
      expect(list.violations).toBe(boots[name]?.violations.length);
      expect(list.bootAggregate).toMatch(/^sha(1|256|512):/);
    },
  );

  test('text and binary say the same', () => {
    const [binary, text] = ['binary', 'ascii'].map((form) =>
      inspectImaList(bytesOf(`${SIG}/${form}_runtime_measurements`), 'list', { bank: 'sha256' }),
    );
    expect(text).toEqual({ ...binary, form: 'text' });
    expect(binary?.signed).toBeGreaterThan(0);
  });

  test('says how many entries lead to a value, with exit code 1 when none do', async () => {
    const file = fileOf(`${SIG}/binary_runtime_measurements`);
    const all = await assay(['inspect', 'ima', file, '--pcr10', pcr10('sha256')]);
    expect(all).toMatchObject({ code: 0, out: expect.stringContaining('all entries lead to it') });
    const sha1 = await assay(['inspect', 'ima', file, '--bank', 'sha1', '--pcr10', pcr10('sha1')]);
    expect(sha1.code).toBe(0);
    const none = await assay(['inspect', 'ima', file, '--pcr10', '00'.repeat(31).concat('01')]);
    expect(none).toMatchObject({ code: 1, out: expect.stringContaining('no number of the entries') });
    expect((await assay(['inspect', 'ima', file, '--pcr10', 'abc'])).code).toBe(2);
  });

  test('a list that was changed is exit code 1, one that is broken 2 with its place', async () => {
    const changed = await assay([
      'inspect',
      'ima',
      fileOf('ima-digest-changed/binary_runtime_measurements'),
      '--pcr10',
      pcr10('sha256'),
    ]);
    expect(changed.code).toBe(1);
    const broken = await assay(['inspect', 'ima', fileOf('ima-huge-length/binary_runtime_measurements')]);
    expect(broken).toMatchObject({ code: 2, err: expect.stringContaining('is no measurement list') });
  });

  test('shows each entry where that is asked for', async () => {
    const { out } = await assay(['inspect', 'ima', fileOf(`${SIG}/ascii_runtime_measurements`), '--entries']);
    expect(out).toMatch(/^ *0 {2}ima-sig +sha256:[0-9a-f]{64} +boot_aggregate$/m);
  });

  test('a list of another bank is told by its hashes, binary or text', () => {
    const bytes = bytesOf(`${SIG}/binary_runtime_measurements`);
    const list = parseImaList(bytes);
    const data = (index: number) => imaTemplateData(list, index);
    for (const hash of ['sha256', 'sha384', 'sha512'] as const) {
      const entries = Array.from({ length: list.length }, (_, index) => {
        const { template, violation } = imaEntry(list, index);
        const own = violation ? new Uint8Array(digestSize(hash)) : digestOf(hash, data(index), 'buffer');
        return {
          line: toHex(own),
          bytes: entryBytes({ template: template.name, data: data(index), hash: own }),
        };
      });
      const found = inspectImaList(concat(...entries.map((entry) => entry.bytes)), 'list', {
        bank: 'sha256',
      });
      expect(found).toMatchObject({ form: 'binary', hash, wrongHash: null });
      expect(found.replayed).toEqual(inspectImaList(bytes, 'list', { bank: 'sha256' }).replayed);
      const text = Buffer.from(bytesOf(`${SIG}/ascii_runtime_measurements`))
        .toString('latin1')
        .trimEnd();
      const lines = text
        .split('\n')
        .map((line, index) => line.replace(/[0-9a-f]{40}/, entries[index]?.line ?? ''));
      const shown = inspectImaList(Buffer.from(lines.join('\n'), 'latin1'), 'list', { bank: 'sha256' });
      expect(shown).toMatchObject({ form: 'text', hash, wrongHash: null, replayed: found.replayed });
    }
  });

  test('entries that a policy of the kernel sends to another register lead that one on', async () => {
    const bytes = Uint8Array.from(bytesOf(`${SIG}/binary_runtime_measurements`));
    const { columns, length } = parseImaList(bytes);
    const moved = [1, 4, length - 1];
    for (const index of moved) bytes[columns.start[index] ?? 0] = 11;
    const found = inspectImaList(bytes, 'list', { bank: 'sha256' });
    expect(found.entries).toHaveLength(length);
    expect(found.entries[4]).toMatchObject({ number: 4, pcr: 11, offset: columns.start[4] });
    const only = (wanted: (index: number) => boolean) =>
      concat(
        ...Array.from({ length }, (_, index) => index)
          .filter(wanted)
          .map((index) => bytes.subarray(columns.start[index], columns.start[index + 1])),
      );
    const rest = inspectImaList(
      only((index) => !moved.includes(index)),
      'list',
      { bank: 'sha256' },
    );
    expect(rest.others).toEqual([]);
    expect(found.replayed).toEqual(rest.replayed);
    const eleven = inspectImaList(
      only((index) => moved.includes(index)),
      'list',
      { bank: 'sha256' },
    );
    expect(found.others).toEqual([{ pcr: 11, entries: 3, replayed: eleven.others[0]?.replayed }]);
    expect(renderImaList(found, false)).toContain('PCR 11           3 entries');
    const asked = inspectImaList(bytes, 'list', { bank: 'sha256', pcr10: rest.replayed.sha256 ?? '' });
    expect(asked.leadsTo).toMatchObject({ entries: length - 3, of: length - 3, rule: 'template-hash' });
    const none = bytes.with(columns.start[1] ?? 0, 24);
    expect(() => inspectImaList(none, 'list', { bank: 'sha256' })).toThrow(
      /ima\[1\]\.pcr at byte \d+: is 24/,
    );
  });

  test('base64 and hex of a list are read', () => {
    const bytes = bytesOf(`${SIG}/binary_runtime_measurements`);
    const plain = inspectImaList(bytes, 'list', { bank: 'sha256' });
    for (const form of ['base64', 'hex'] as const) {
      const text = Buffer.from(
        Buffer.from(bytes)
          .toString(form)
          .replace(/(.{76})/g, '$1\n'),
      );
      expect(inspectImaList(text, 'list', { bank: 'sha256' })).toEqual(plain);
    }
  });

  test('a kernel before 5.8 extends other banks with SHA-1 and zeros', () => {
    const bytes = bytesOf(`${SIG}/binary_runtime_measurements`);
    const list = parseImaList(bytes);
    const never = new Map([['sha256', new Uint8Array(32).fill(0xff)] as const]);
    const padded = replayIma(list, imaStart(['sha256']), never, 'padded-sha1').state.pcrs.get('sha256');
    const found = inspectImaList(bytes, 'list', { bank: 'sha256', pcr10: toHex(padded ?? new Uint8Array()) });
    expect(found.leadsTo).toMatchObject({ entries: list.length, rule: 'padded-sha1' });
    expect(renderImaList(found, false)).toContain('as kernels before 5.8 do');
  });

  test('whatever the bytes are, it shows a list or says why not', () => {
    const real = bytesOf(`${SIG}/binary_runtime_measurements`);
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.nat(real.length).map((end) => real.subarray(0, end)),
      fc.tuple(fc.nat(real.length - 1), fc.nat(255)).map(([at, octet]) => real.with(at, octet)),
    );
    fc.assert(
      fc.property(hostile, (bytes) => {
        try {
          renderImaList(inspectImaList(bytes, 'list', { bank: 'sha256' }), true);
        } catch (error) {
          expect(error).toBeInstanceOf(AssayError);
        }
      }),
      { numRuns: 200 },
    );
  });
});
