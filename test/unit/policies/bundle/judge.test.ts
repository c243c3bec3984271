import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { fromBase64, toBase64 } from '../../../../core/bytes/encoding.ts';
import { renderDsse, signDsse } from '../../../../core/dsse.ts';
import { BUNDLE_TYPE, type EvidenceBundle } from '../../../../core/messages/bundle.ts';
import { parseCertificate } from '../../../../core/x509/certificate.ts';
import {
  isBundle,
  isSealedBy,
  openBundle,
  renderBundle,
  sealBundle,
} from '../../../../policies/bundle/format.ts';
import { judgeBundle } from '../../../../policies/bundle/judge.ts';
import { parsePolicy } from '../../../../policies/language/parse.ts';
import { EK_CHAIN, policyOf, REAL, realBundle } from './real.ts';

const KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const OTHER = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ROOTS = [parseCertificate(EK_CHAIN.at(-1) ?? new Uint8Array())];
const BUNDLE = realBundle();

const rulesOf = (bundle: EvidenceBundle) => [
  ...new Set(judgeBundle(bundle, { roots: ROOTS }).verdict.findings.map(({ rule }) => rule)),
];

/** The same bytes with one bit of one byte changed. */
function flipped(base64: string, index: number): string {
  const bytes = fromBase64(base64, 'test');
  bytes[index] = (bytes[index] ?? 0) ^ 1;
  return toBase64(bytes);
}

describe('envelope', () => {
  const sealed = sealBundle(BUNDLE, KEY.privateKey, KEY.publicKey);

  test('a bundle comes back as it was, and is known to be one', () => {
    const opened = openBundle(sealed);
    expect(opened.bundle).toEqual(BUNDLE);
    expect(isBundle(sealed)).toBe(true);
    expect(isSealedBy(opened, [KEY.publicKey])).toBe(true);
  });

  test('the payload is the same whoever renders it', () => {
    const reordered = Object.fromEntries(Object.entries(BUNDLE).reverse());
    expect(renderBundle(reordered as EvidenceBundle)).toEqual(renderBundle(BUNDLE));
  });

  test('another key did not sign it', () => {
    expect(isSealedBy(openBundle(sealed), [OTHER.publicKey])).toBe(false);
  });

  test('a change of the payload breaks the signature', () => {
    const { envelope } = openBundle(sealed);
    const bundle = realBundle({ judgedAt: '2026-11-23T12:00:01.000Z' });
    const changed = { envelope: { ...envelope, payload: renderBundle(bundle) }, bundle };
    expect(isSealedBy(changed, [KEY.publicKey])).toBe(false);
  });

  const seal = (type: string, text: string) =>
    renderDsse(signDsse(type, new Uint8Array(Buffer.from(text)), KEY.privateKey, KEY.publicKey));

  test.each<[string, string, string]>([
    ['another type', seal('application/json', '{}'), 'bundle.type'],
    ['no JSON', seal(BUNDLE_TYPE, 'x'), 'is not JSON'],
    ['a part that is missing', seal(BUNDLE_TYPE, '{}'), 'bundle'],
    ['white space', seal(BUNDLE_TYPE, JSON.stringify(BUNDLE, null, 1)), 'canonical'],
  ])('is refused with %s', (_case, text, problem) => {
    expect(() => openBundle(text)).toThrow(problem);
  });
});

describe('judgement', () => {
  test('a real boot passes again, as it was recorded', () => {
    const judged = judgeBundle(BUNDLE, { roots: ROOTS });
    expect(judged.verdict.findings).toEqual([]);
    expect(judged).toMatchObject({ agrees: true, ekCertified: true, verdict: { outcome: 'pass' } });
  });

  test('without roots it says that nobody was asked who made the TPM', () => {
    const { ekCertified, limits } = judgeBundle(BUNDLE);
    expect(ekCertified).toBe(false);
    expect(limits.join()).toContain('--roots');
  });

  test('another policy decides, and nothing is compared', () => {
    const policy = parsePolicy(policyOf(4, '0'.repeat(64)));
    const judged = judgeBundle(BUNDLE, { policy });
    expect(judged.verdict.findings.map(({ rule }) => rule)).toEqual(['pcr.value']);
    expect(judged.agrees).toBeUndefined();
  });

  test('a policy that asks for what was not quoted is not satisfied', () => {
    const policy = parsePolicy(policyOf(14, '0'.repeat(64)));
    expect(judgeBundle(BUNDLE, { policy }).verdict.findings.map(({ rule }) => rule)).toContain(
      'quote.selection',
    );
  });

  test('a recorded verdict that does not follow from the evidence is contradicted', () => {
    const lie = realBundle({
      verdict: { outcome: 'fail', reasons: [{ rule: 'pcr.value', pcr: 4, message: '' }] },
    });
    expect(judgeBundle(lie)).toMatchObject({ agrees: false, onlyRecorded: ['pcr.value/4'], onlyHere: [] });
  });

  test('a recorded clone cannot be judged, and is said to be so', () => {
    const clone = realBundle({ verdict: { outcome: 'fail', reasons: [{ rule: 'id.clone', message: '' }] } });
    const { agrees, limits } = judgeBundle(clone);
    expect(agrees).toBe(true);
    expect(limits.join()).toContain('id.clone');
  });

  test('a clock that was ahead of the quote is told', () => {
    const clock = { clock: '18446744073709551615', resetCount: 0xffff_ffff, restartCount: 0, safe: true };
    expect(rulesOf(realBundle({ history: { clock } }))).toEqual(['quote.clock']);
  });

  test('a quote that is none is told as it was then', () => {
    expect(rulesOf(realBundle({ quote: { raw: 'no quote' } }))).toEqual(['bytes.known']);
  });
});

describe('a verifier that signs what is not so is contradicted', () => {
  const quote = 'attest' in BUNDLE.quote ? BUNDLE.quote : undefined;
  const firmware = BUNDLE.logs.firmware ?? '';
  const cases: [string, Partial<EvidenceBundle>, string][] = [
    [
      'attest',
      { quote: { ...quote, attest: flipped(quote?.attest ?? '', 100) } as never },
      'quote.signature',
    ],
    [
      'signature',
      { quote: { ...quote, signature: flipped(quote?.signature ?? '', 50) } as never },
      'quote.signature',
    ],
    [
      'PCR value',
      { quote: { ...quote, pcrs: { sha256: { ...quote?.pcrs.sha256, 0: '00'.repeat(32) } } } as never },
      'quote.digest',
    ],
    ['nonce', { asked: { ...BUNDLE.asked, nonce: flipped(BUNDLE.asked.nonce, 0) } }, 'quote.nonce'],
    ['selection', { asked: { ...BUNDLE.asked, pcrs: [0, 1] } }, 'quote.selection'],
    [
      'channel',
      { asked: { ...BUNDLE.asked, channel: { binding: 'tls-key', value: '00'.repeat(32) } } },
      'quote.channel',
    ],
    ['boot log', { logs: { firmware: flipped(firmware, 200) } }, 'log.replay'],
    ['no boot log', { logs: {} }, 'log.missing'],
    ['AK', { node: { ...BUNDLE.node, akPublic: BUNDLE.node.ekPublic } }, 'quote.signature'],
    ['EK', { node: { ...BUNDLE.node, ekPublic: BUNDLE.node.akPublic } }, 'bundle.node'],
    [
      'EK certificate',
      {
        node: {
          ...BUNDLE.node,
          ekCertificate: flipped(BUNDLE.node.ekCertificate ?? '', -1 + REAL('ek_rsa2048_cert.der').length),
        },
      },
      'ek.chain',
    ],
    ['EK chain', { node: { ...BUNDLE.node, ekChain: [] } }, 'ek.chain'],
    ['name of the policy', { policy: { ...BUNDLE.policy, name: 'other' } }, 'bundle.policy'],
    ['policy', { policy: { ...BUNDLE.policy, document: policyOf(4, '0'.repeat(64)) } }, 'pcr.value'],
  ];
  test.each(cases)('%s', (_part, changes, rule) => {
    const bundle = realBundle(changes);
    expect(rulesOf(bundle)).toContain(rule);
    expect(judgeBundle(bundle, { roots: ROOTS }).agrees).toBe(false);
  });
});
