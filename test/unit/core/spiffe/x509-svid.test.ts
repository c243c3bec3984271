import { beforeAll, describe, expect, test } from 'vitest';
import { verifyX509Svid } from '../../../../core/spiffe/x509-svid.ts';
import type { Certificate } from '../../../../core/x509/certificate.ts';
import { basicConstraints, extKeyUsage, keyUsage, USAGE } from '../../../../platform/pki/extensions.ts';
import { LEAF, SpiffeCa, type SvidOptions } from '../../../fakes/spiffe-ca.ts';

const ID = 'spiffe://a.test/ops';
const [NO_CA, SIGNS, USAGES] = LEAF;
let a: SpiffeCa;
let b: SpiffeCa;

beforeAll(async () => {
  [a, b] = await Promise.all([SpiffeCa.create('a.test'), SpiffeCa.create('b.test')]);
});

const known = (trustDomain: string) =>
  trustDomain === 'a.test' ? [a.root.certificate] : [b.root.certificate];

function verify(
  [leaf, ...intermediates]: readonly Certificate[],
  { bundleOf = known, at = new Date() }: Partial<Parameters<typeof verifyX509Svid>[0]> = {},
) {
  if (!leaf) throw new Error('no leaf');
  const result = verifyX509Svid({ leaf, intermediates, bundleOf, at });
  return result.ok ? `${result.id.trustDomain}${result.id.path}` : result.findings.map(({ rule }) => rule);
}

const made = async (options: SvidOptions, ca = a) => (await ca.svid(ID, options)).chain;

test('an SVID of its own trust domain is who it says', async () => {
  expect(verify(await made({}))).toBe('a.test/ops');
});

test('an SVID below an intermediate is, when the intermediate came with it', async () => {
  const chain = await made({ below: await a.below('between') });
  expect(verify(chain)).toBe('a.test/ops');
  expect(verify(chain.slice(0, 1))).toEqual(['path.issuer']);
});

test('an SVID without extKeyUsage is', async () => {
  expect(verify(await made({ extensions: [NO_CA, SIGNS].filter((one) => one !== undefined) }))).toBe(
    'a.test/ops',
  );
});

describe('api.svid: refused is', () => {
  test('a trust domain that speaks for another', async () => {
    expect(verify(await made({}, b))).toEqual(['path.issuer']);
  });

  test('a trust domain that is not known', async () => {
    expect(verify(await made({}), { bundleOf: () => undefined })).toEqual(['svid.id']);
  });

  test('an SVID that has expired', async () => {
    const at = new Date(Date.now() + 86_400_000);
    expect(verify(await made({}), { at })).toContain('path.dates');
  });

  test.each([
    ['no URI', []],
    ['two URIs', [ID, 'spiffe://a.test/other']],
    ['a SPIFFE ID and another URI', [ID, 'https://a.test/']],
    ['a URI that is no SPIFFE ID', ['spiffe://a.test/ops/']],
  ])('a certificate with %s', async (_name, uris) => {
    expect(verify(await made({ uris }))).toEqual(['svid.id']);
  });

  test.each([
    ['a CA', [basicConstraints(true, 0), SIGNS, USAGES]],
    ['a key that may sign certificates', [NO_CA, keyUsage('digitalSignature', 'keyCertSign'), USAGES]],
    ['a key that may sign CRLs', [NO_CA, keyUsage('digitalSignature', 'cRLSign'), USAGES]],
    ['a key that may not sign', [NO_CA, keyUsage('keyAgreement'), USAGES]],
    ['a server alone', [NO_CA, SIGNS, extKeyUsage(USAGE.SERVER_AUTH)]],
  ])('%s', async (_name, extensions) => {
    const chain = await made({ extensions: extensions.filter((one) => one !== undefined) });
    expect(verify(chain)).toEqual(['svid.leaf']);
  });
});
