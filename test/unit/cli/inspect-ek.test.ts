import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { der, derSequence, derUnsigned } from '../../../core/x509/der-writer.ts';
import { renderPem } from '../../../core/x509/pem.ts';
import { assay as runAssay } from './policy/harness.ts';

const at = (name: string) => fileURLToPath(new URL(`../../vectors/evidence/${name}`, import.meta.url));
const CERTIFICATE = at('direct-clean-1/ek_rsa2048_cert.der');
const NOW = new Date('2026-11-24');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ek-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
function write(name: string, content: string | Uint8Array): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}
async function inspect(...args: string[]) {
  const { code, out, err } = await runAssay(['--json', 'inspect', 'ek', ...args], undefined, NOW);
  return { code, err, ek: code === 2 ? undefined : JSON.parse(out) };
}

describe('assay inspect ek', () => {
  test('an EK certificate whose issuer nobody knows: which one is missing', async () => {
    const { code, ek } = await inspect(CERTIFICATE);
    expect(code).toBe(1);
    expect(ek).toMatchObject({
      ...{ key: 'RSA 2048', subject: 'CN=tpm', ok: false, path: [] },
      tpm: { manufacturer: 'id:00001014', model: 'swtpm' },
      missingIssuer: { subject: 'CN=swtpm-localca', keyId: expect.stringMatching(/^[0-9a-f]{40}$/) },
      findings: [{ rule: 'ek.chain' }],
    });
  });

  test('in base64, as registrars of Keylime have it, and in hex', async () => {
    const bytes = readFileSync(CERTIFICATE);
    const { ek } = await inspect(CERTIFICATE);
    for (const form of ['base64', 'hex'] as const) {
      expect((await inspect(write(form, bytes.toString(form)))).ek).toEqual(ek);
    }
  });

  test('what is no certificate: which file, where, and what it may be', async () => {
    const nothing = write('nothing', 'nothing');
    const told = (file: string) => runAssay(['inspect', 'ek', file], undefined, NOW);
    expect(await told(nothing)).toMatchObject({
      code: 2,
      err: expect.stringContaining(`${nothing} is no EK`),
    });
    // AttributeCertificateInfo (RFC 5755): version, holder, and an issuer where a certificate has its own.
    const info = derSequence(derUnsigned(Uint8Array.of(1)), derSequence(), der(0xa0));
    const attribute = write('attribute', derSequence(info, derSequence(), der(3, Uint8Array.of(0))));
    expect(await told(attribute)).toMatchObject({
      code: 2,
      err: expect.stringContaining('attribute certificate'),
    });
  });

  test('with its roots it is accepted, and its path is shown', async () => {
    const { code, ek } = await inspect(CERTIFICATE, '--roots', at('ca'));
    expect({ code, ok: ek.ok, path: ek.path }).toEqual({
      code: 0,
      ok: true,
      path: ['CN=tpm', 'CN=swtpm-localca', 'CN=swtpm-localca-rootca'],
    });
  });

  test('certificates behind the first complete its path, and are not trusted', async () => {
    const pem = renderPem('CERTIFICATE', readFileSync(CERTIFICATE));
    const [root, intermediate] = ['root', 'intermediate'].map((name) =>
      readFileSync(at(`ca/${name}.pem`), 'utf8'),
    );
    const bundle = write('bundle.pem', `${pem}${intermediate}`);
    const alone = join(folder, 'roots');
    expect((await inspect(bundle)).ek.missingIssuer.subject).toBe('CN=swtpm-localca-rootca');
    mkdirSync(alone);
    writeFileSync(join(alone, 'root.pem'), root ?? '');
    expect((await inspect(bundle, '--roots', alone)).code).toBe(0);
    expect((await inspect(write('all.pem', `${pem}${intermediate}${root}`))).code).toBe(1);
  });

  test('a certificate of something else says what an EK certificate has', async () => {
    const { code, ek } = await inspect(at('ca/intermediate.pem'), '--roots', at('ca'));
    expect(code).toBe(1);
    expect(ek.findings.map(({ rule }: { rule: string }) => rule)).toContain('ek.profile');
  });

  test('what is no certificate, and a root that is none, give exit code 2', async () => {
    expect(await inspect(write('text', 'hello'))).toMatchObject({ code: 2 });
    const bytes = readFileSync(CERTIFICATE);
    expect(await inspect(write('cut.der', bytes.subarray(0, 300)))).toMatchObject({ code: 2 });
    write('broken.crt', 'hello');
    expect(await inspect(CERTIFICATE, '--roots', folder)).toMatchObject({ code: 2 });
    expect(await inspect(CERTIFICATE, '--roots', '/nowhere')).toMatchObject({ code: 2 });
  });

  test('every prefix of a certificate is refused, none is a crash', async () => {
    const bytes = readFileSync(CERTIFICATE);
    for (let length = 0; length < bytes.length; length += 37) {
      expect(await inspect(write('prefix.der', bytes.subarray(0, length)))).toMatchObject({ code: 2 });
    }
  });
});
