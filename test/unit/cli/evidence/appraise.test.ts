import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { assay } from '../policy/harness.ts';

const BOOT = fileURLToPath(new URL('../../../vectors/evidence/sb-clean-1/', import.meta.url));
const DEBIAN = fileURLToPath(new URL('../../../../policies/profiles/debian-shim-grub.yaml', import.meta.url));
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'appraise-'));
  cpSync(BOOT, folder, { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);
const appraise = (...more: string[]) => {
  const files = ['--policy', DEBIAN, '--evidence', folder, '--quote', 'quote_all'];
  return assay(['--json', 'appraise', ...files, ...more]);
};
/** The outcome and the rules of the reasons. */
async function judged(...more: string[]) {
  const { code, out } = await appraise(...more);
  const { outcome, reasons } = JSON.parse(out);
  return { code, outcome, rules: reasons.map(({ rule }: { rule: string }) => rule) };
}
function change(name: string, edit: (bytes: Buffer) => Uint8Array): void {
  writeFileSync(at(name), edit(readFileSync(at(name))));
}
const flipAt = (index: number) => (bytes: Buffer) => {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(
    copy.readUInt8(index < 0 ? copy.length + index : index) ^ 1,
    index < 0 ? copy.length + index : index,
  );
  return copy;
};
const flip = flipAt(-1);

describe('assay appraise', () => {
  test('a real boot passes, and says what that does not rest on', async () => {
    const { code, out } = await appraise();
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      ...{ policy: 'debian-shim-grub', outcome: 'pass', reasons: [] },
      boot: { secureBoot: true, sbat: { shim: 4 } },
      limits: [expect.stringContaining('no nonce was given'), expect.stringContaining('no earlier clock')],
    });
  });

  test('files may be hex or base64 as well', async () => {
    change('quote_all.msg', (bytes) => Buffer.from(`${bytes.toString('hex')}\n`));
    change('quote_all.sig', (bytes) => Buffer.from(bytes.toString('base64')));
    expect(await judged()).toMatchObject({ code: 0, outcome: 'pass' });
  });

  test('a nonce is held against the quote', async () => {
    writeFileSync(at('nonce'), '00ff');
    expect(await judged()).toMatchObject({ code: 1, outcome: 'fail', rules: ['quote.nonce'] });
  });

  test.each([
    ['quote_all.sig', flip, 'quote.signature'],
    ['quote_all.msg', flip, 'quote.signature'],
    ['quote_all.pcrs', flipAt(160), 'quote.digest'],
    ['binary_bios_measurements', (bytes: Buffer) => bytes.subarray(0, -1), 'log.parse'],
    ['binary_bios_measurements', () => Buffer.of(), 'log.missing'],
  ] as const)('%s changed: %#', async (name, edit, rule) => {
    change(name, edit);
    const { code, rules } = await judged();
    expect(code).toBe(1);
    expect(rules).toContain(rule);
  });

  test('quote.selection: a quote over less than the policy judges', async () => {
    expect(await judged('--quote', 'quote')).toMatchObject({ code: 1, rules: ['quote.selection'] });
  });

  test('files of the node are judged by sets that are given, and asked for where they are not', async () => {
    const set = '6e'.repeat(32);
    const policy = `${readFileSync(DEBIAN, 'utf8')}ima: { allow: ['sha256:${set}'] }\n`;
    writeFileSync(at('policy.yaml'), policy);
    const { code, out } = await appraise('--policy', at('policy.yaml'));
    expect(code).toBe(2);
    expect(out).toContain('--set');
    writeFileSync(at('policy.yaml'), policy.replace(/allow:.*\]/, `files: { /x: ['${set}'] }`));
    expect((await judged('--policy', at('policy.yaml'))).rules).toContain('ima.digest');
  });

  test.each(['quote_all.msg', 'quote_all.sig', 'quote_all.pcrs', 'ak.pub'])(
    'without %s it says what is expected',
    async (name) => {
      rmSync(at(name));
      const { code, out } = await appraise();
      expect(code).toBe(2);
      expect(out).toContain(`has no ${name}: `);
    },
  );

  test.each(['quote_all.pcrs', 'ak.pub'])('%s that is none is named', async (name) => {
    change(name, (bytes) => bytes.subarray(0, 40));
    const { code, out } = await appraise();
    expect(code).toBe(2);
    expect(out).toContain(at(name));
  });
});
