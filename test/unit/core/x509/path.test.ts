import { describe, expect, test } from 'vitest';
import { derOid, derSequence } from '../../../../core/x509/der-writer.ts';
import { buildPath, type PathLimits } from '../../../../core/x509/path.ts';
import { CHAIN_CASES } from './chain-cases.ts';
import { type Chain, chainOf } from './chains.ts';
import {
  altNames,
  dns,
  extension,
  extKeyUsage,
  type Forged,
  forgeCa,
  forgeLeaf,
  NOON,
  newKey,
  uri,
} from './forge.ts';

function judge(chain: Chain, limits: Partial<PathLimits> = {}) {
  return buildPath({
    leaf: chain.leaf.certificate,
    intermediates: chain.intermediates.map(certificateOf),
    anchors: chain.anchors.map(certificateOf),
    at: chain.at,
    limits,
  });
}

const certificateOf = ({ certificate }: Forged) => certificate;
const rulesOf = (result: ReturnType<typeof buildPath>) =>
  result.ok ? [] : [...new Set(result.findings.map(({ rule }) => rule))];

describe('buildPath', () => {
  for (const { name, build, rule } of CHAIN_CASES) {
    test(`${rule ?? 'accepts'}: ${name}`, () => {
      expect(rulesOf(judge(build()))).toEqual(rule === null ? [] : [rule]);
    });
  }

  test('the path goes from the leaf to the anchor', () => {
    const chain = chainOf({});
    const result = judge(chain);
    expect(result.ok && result.path.map(({ subject }) => subject.text)).toEqual([
      'CN=leaf',
      'CN=ca',
      'CN=issuing',
      'CN=root',
    ]);
  });

  test('an issuing CA may be the anchor, its own issuer unknown', () => {
    const chain = chainOf({});
    const [ca, issuing] = chain.intermediates;
    if (!ca || !issuing) throw new Error('no chain');
    const result = judge({ ...chain, intermediates: [ca], anchors: [issuing] });
    expect(result.ok && result.path).toHaveLength(3);
  });

  test('a certificate without a subject goes by its serial', () => {
    const nobody = chainOf({ leaf: { subject: derSequence(), signingKey: newKey().privateKey } });
    const result = judge(nobody);
    expect(result.ok ? [] : result.findings).toMatchObject([
      {
        rule: 'path.signature',
        message: expect.stringMatching(/^the signature on the certificate with serial \w+ was not/),
      },
    ]);
  });

  test('a leaf is not its own anchor', () => {
    const leaf = forgeLeaf();
    expect(judge({ leaf, intermediates: [], anchors: [leaf], at: NOON }).ok).toBe(false);
  });

  test('the missing issuer is named with key id and address', () => {
    const url = uri('http://ca.test/issuing.crt');
    const access = derSequence(derSequence(derOid('1.3.6.1.5.5.7.48.2'), url));
    const chain = chainOf({ ca: { extensions: [extension('1.3.6.1.5.5.7.1.1', false, access)] } });
    const [ca, issuing] = chain.intermediates;
    const result = judge({ ...chain, intermediates: ca ? [ca] : [] });
    expect(result).toMatchObject({
      ok: false,
      missingIssuer: {
        subject: 'CN=issuing',
        aki: Buffer.from(issuing?.ski ?? []).toString('hex'),
        aiaUrls: ['http://ca.test/issuing.crt'],
      },
    });
    expect(!result.ok && result.findings[0]?.message).toContain('http://ca.test/issuing.crt');
  });

  test('the leaf must have the usage that is asked for', () => {
    const { leaf, intermediates, anchors, at } = chainOf({
      leaf: { extensions: [extKeyUsage('1.2.3'), altNames(dns('leaf.test'))] },
    });
    const request = {
      leaf: leaf.certificate,
      intermediates: intermediates.map(certificateOf),
      anchors: anchors.map(certificateOf),
      at,
    };
    expect(rulesOf(buildPath({ ...request, usage: { extKeyUsage: '1.2.3' } }))).toEqual([]);
    expect(rulesOf(buildPath({ ...request, usage: { extKeyUsage: '1.2.4' } }))).toEqual(['path.usage']);
    expect(rulesOf(buildPath({ ...request, usage: { keyUsage: 'keyAgreement' } }))).toEqual(['path.usage']);
  });
});

describe('api.limits: the work for one leaf is bounded', () => {
  test('10,000 intermediates of one name and no key id', () => {
    const [one, two] = [newKey(), newKey()];
    const impostor = forgeCa({ subject: 'ca', key: one, ski: null });
    const intermediates = Array.from({ length: 10_000 }, (_, i) => {
      // A copy with another serial number: different bytes that were not signed anew.
      const bytes = Uint8Array.from(impostor.der);
      bytes.set([i >> 8, i & 0xff], bytes.length - 2);
      return { ...impostor.certificate, der: bytes };
    });
    const leaf = forgeLeaf({ issuer: impostor, signingKey: two.privateKey }).certificate;
    const start = performance.now();
    const result = buildPath({ leaf, intermediates, anchors: [], at: NOON });
    expect(rulesOf(result)).toEqual(['path.limit']);
    expect(performance.now() - start).toBeLessThan(2000);
  });

  test('CAs that all certify one another', () => {
    const keys = Array.from({ length: 7 }, (_, i) => forgeCa({ subject: `mesh ${i}` }));
    const mesh = keys.flatMap((subject, i) =>
      keys.flatMap((issuer, j) =>
        i === j ? [] : [forgeCa({ subject: `mesh ${i}`, issuer, key: subject.key, ski: subject.ski })],
      ),
    );
    const [first] = keys;
    if (!first) throw new Error('no mesh');
    const chain = { leaf: forgeLeaf({ issuer: first }), intermediates: mesh, anchors: [], at: NOON };
    expect(rulesOf(judge(chain))).toEqual(['path.limit']);
  });

  test('a chain longer than the limit', () => {
    const root = forgeCa({ subject: 'ca 0' });
    const cas: Forged[] = [];
    for (let i = 1; i < 9; i++) cas.push(forgeCa({ subject: `ca ${i}`, issuer: cas.at(-1) ?? root }));
    const last = cas.at(-1);
    if (!last) throw new Error('no chain');
    const chain = { leaf: forgeLeaf({ issuer: last }), intermediates: cas, anchors: [root], at: NOON };
    expect(rulesOf(judge(chain))).toEqual(['path.depth']);
    expect(rulesOf(judge(chain, { depth: 10 }))).toEqual([]);
  });
});
