import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parsePemBundle, renderPem } from '../../../core/x509/pem.ts';
import { ekVector } from '../registrar/domain/ek-vectors.ts';
import { assay } from './policy/harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'trust-'));
afterAll(() => rmSync(folder, { recursive: true }));
function write(name: string, content: Uint8Array | string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

/** The certificates that the registrar gets when a file is to be checked. */
async function sentFor(file: string) {
  let sent: readonly Uint8Array[] = [];
  const { code, err } = await assay(['trust', 'check', file], {
    'POST /v1/trust/check': ({ certificates }: { certificates: string }) => {
      sent = parsePemBundle(certificates);
      return { ok: true, path: ['CN=tpm'], findings: [], faults: [] };
    },
  });
  return { code, err, sent };
}

const { certificate, intermediates } = ekVector('rsa2048-ok');
const padded = ekVector('padded-zero-ok').certificate;

describe('trust check takes certificates as they are found', () => {
  test.each([
    ['DER, as TPMs have it', write('ek.der', certificate), [certificate]],
    ['DER with the filler of an NV index', write('nv.bin', padded), [padded]],
    [
      'DER, one behind the other',
      write('two.der', Buffer.concat([certificate, ...intermediates])),
      [certificate, ...intermediates],
    ],
    ['PEM', write('ek.pem', renderPem('CERTIFICATE', certificate)), [certificate]],
  ])('%s', async (_what, file, expected) => {
    const { code, sent } = await sentFor(file);
    expect(code).toBe(0);
    expect(sent.map((der) => Buffer.from(der))).toEqual(expected.map((der) => Buffer.from(der)));
  });

  test('anything else is refused before it is sent', async () => {
    expect(await sentFor(write('x', 'hello'))).toMatchObject({
      code: 2,
      err: expect.stringContaining('holds no certificate, in PEM or DER'),
      sent: [],
    });
  });
});
