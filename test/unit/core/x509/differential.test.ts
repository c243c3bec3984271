import { describe, expect, test } from 'vitest';
import { buildPath } from '../../../../core/x509/path.ts';
import { renderPem } from '../../../../core/x509/pem.ts';
import { CHAIN_CASES } from './chain-cases.ts';
import { type Chain, chainOf } from './chains.ts';
import type { Forged } from './forge.ts';
import { Openssl } from './openssl.ts';
import { askPkijs, pkijsPatiently, pkijsRequest } from './pkijs.ts';

const openssl = new Openssl();
const pem = (certificates: readonly Forged[]) =>
  certificates.map((one) => renderPem('CERTIFICATE', one.der)).join('');

function opensslAccepts({ leaf, intermediates, anchors, at }: Chain): boolean {
  const { ok, output } = openssl.run(
    'verify',
    '-x509_strict',
    '-attime',
    String(at.getTime() / 1000),
    '-CAfile',
    openssl.file('anchors.pem', pem(anchors)),
    ...(intermediates.length > 0
      ? ['-untrusted', openssl.file('intermediates.pem', pem(intermediates))]
      : []),
    openssl.file('leaf.pem', pem([leaf])),
  );
  if (!ok && !/error \d+ at|verification failed/.test(output)) throw new Error(output);
  return ok;
}

function weAccept({ leaf, intermediates, anchors, at }: Chain): boolean {
  return buildPath({
    leaf: leaf.certificate,
    intermediates: intermediates.map(({ certificate }) => certificate),
    anchors: anchors.map(({ certificate }) => certificate),
    at,
  }).ok;
}

describe('our verdict is that of OpenSSL, but for the listed differences', () => {
  for (const { name, build, openssl: differs } of CHAIN_CASES) {
    test(`openssl verify -x509_strict: ${name}${differs ? ` (differs: ${differs.why})` : ''}`, () => {
      const chain = build();
      const ours = weAccept(chain);
      expect(differs?.accepts).not.toBe(ours);
      expect(opensslAccepts(chain)).toBe(differs?.accepts ?? ours);
    });
  }
});

describe('our verdict is that of pkijs, but for the listed differences', () => {
  for (const { name, build, pkijs: differs } of CHAIN_CASES) {
    test(`pkijs: ${name}${differs ? ` (differs: ${differs.why})` : ''}`, async () => {
      const chain = build();
      const ours = weAccept(chain);
      expect(differs?.accepts).not.toBe(ours);
      const ask = differs?.accepts === 'no answer' ? pkijsPatiently : askPkijs;
      const { accepts, message } = await ask(pkijsRequest(chain));
      expect(accepts, message).toBe(differs?.accepts ?? ours);
    });
  }

  test('the thread that is waited for does answer', async () => {
    expect(await pkijsPatiently(pkijsRequest(chainOf({})))).toMatchObject({ accepts: true });
  });
});
