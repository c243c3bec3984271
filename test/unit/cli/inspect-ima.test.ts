import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inspectImaList } from '../../../cli/inspect/ima-list.ts';
import { renderImaList } from '../../../cli/inspect/render-ima-list.ts';
import { AssayError } from '../../../core/errors.ts';
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
