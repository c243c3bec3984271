import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { parsePcrBlob } from '../../../../core/messages/keylime/pcr-blob.ts';
import { assay } from './harness.ts';

const EVIDENCE = fileURLToPath(new URL('../../../vectors/evidence/direct-clean-1', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'assay-policy-test-'));
afterAll(() => rmSync(directory, { recursive: true }));

const { values } = parsePcrBlob(new Uint8Array(readFileSync(join(EVIDENCE, 'quote.pcrs'))));
const GOOD = `assay: policy/v1
name: real
freshness: { interval: 30s, trust-for: 5m }
reaction: ban
pcrs:
  bank: sha256
  require: 0-9
  values:
    4:
      any-of: ['${Buffer.from(values.get('sha256')?.get(4) ?? []).toString('hex')}']
boot: { profile: direct-kernel, secure-boot: any, option-roms: any, applications: any, files: any, command-line: any }
`;
writeFileSync(join(directory, 'good.yaml'), GOOD);
writeFileSync(
  join(directory, 'other.yaml'),
  GOOD.replace(/any-of: \['[0-9a-f]+'\]/, `any-of: ['${'0'.repeat(64)}']`),
);

function run(...cases: readonly object[]) {
  const file = join(directory, 'cases.yaml');
  const full = cases.map((one, index) => ({ name: `case ${index}`, evidence: EVIDENCE, ...one }));
  writeFileSync(file, JSON.stringify({ assay: 'policy-test/v1', cases: full }));
  return assay(['policy', 'test', file]);
}

test('verdicts and reasons that are as expected are ok', async () => {
  const { code, out } = await run(
    { policy: 'good.yaml', verdict: 'pass' },
    { policy: 'other.yaml', verdict: 'fail', reasons: ['pcr.value'] },
  );
  expect(out).toBe('TAP version 14\n1..2\nok 1 - case 0\nok 2 - case 1');
  expect(code).toBe(0);
});

test('another verdict is shown with what was expected', async () => {
  const { code, out } = await run({ policy: 'other.yaml', verdict: 'pass' });
  expect(out).toContain('not ok 1');
  expect(out).toContain('# verdict: expected pass, found fail');
  expect(code).toBe(1);
});

test('reasons on one side only are shown as a difference', async () => {
  const { code, out } = await run({ policy: 'other.yaml', verdict: 'fail', reasons: ['ima.digest'] });
  expect(out).toContain('# - ima.digest');
  expect(out).toContain('# + pcr.value: PCR 4');
  expect(code).toBe(1);
});

test('a case that names no reasons is about the verdict alone', async () => {
  expect((await run({ policy: 'other.yaml', verdict: 'fail' })).code).toBe(0);
});

test.each([
  ['evidence that is not there', { policy: 'good.yaml', evidence: 'nowhere', verdict: 'pass' }],
  ['a policy that is not there', { policy: 'nothing.yaml', verdict: 'pass' }],
  ['a verdict that is none', { policy: 'good.yaml', verdict: 'maybe' }],
])('%s is no result', async (_case, one) => {
  const { code, err } = await run(one);
  expect(code).toBe(2);
  expect(err).toContain('error:');
});
