import Value from 'typebox/value';
import { describe, expect, test } from 'vitest';
import { EAR_NONCE_PATTERN, EarClaims } from '../../../../core/messages/result.ts';
import { earClaims, type ResultFacts } from '../../../../core/result/ear.ts';
import { ar4siTier, worst } from '../../../../core/result/trust-vector.ts';

const AT = new Date('2026-11-24T08:00:00.900Z');
const CONTEXT = { at: AT, build: 'assay 1.2.3' };
const FULL: ResultFacts = {
  state: 'trusted',
  outcome: 'pass',
  judged: { boot: true, files: true },
  ekCertified: true,
  channelBound: true,
  node: { id: '01234567-89ab-8def-8123-456789abcdef', name: 'web-1', group: 'web' },
  epoch: 3,
  reasons: [],
  judgedAt: new Date('2026-11-24T07:59:50Z'),
  trustedUntil: new Date('2026-11-24T08:04:50.5Z'),
  policy: { name: 'web', version: 7, sha256: 'ab'.repeat(32) },
};
const seconds = (text: string) => Date.parse(text) / 1000;
const finding = (rule: string) => ({ rule, message: 'is so' });

const of = (facts: Partial<ResultFacts>) => {
  const claims = earClaims({ ...FULL, ...facts }, CONTEXT);
  expect(Value.Check(EarClaims, claims)).toBe(true);
  return claims;
};
const vectors = (facts: Partial<ResultFacts>) => {
  const { identity, boot, runtime } = of(facts).submods;
  return [identity, boot, runtime].map((submod) => submod.ear_trustworthiness_vector ?? {});
};
const statuses = (facts: Partial<ResultFacts>) => {
  const { ear_status, submods } = of(facts);
  return [ear_status, ...Object.values(submods).map((submod) => submod.ear_status)].join(' ');
};

describe('a result', () => {
  test('of full trust affirms, and ends when trust does', () => {
    const claims = of({});
    expect(statuses({})).toBe('affirming affirming affirming affirming');
    expect(vectors({})).toEqual([
      { 'instance-identity': 2, hardware: 2 },
      { configuration: 2, executables: 3 },
      { executables: 2 },
    ]);
    expect(claims).toMatchObject({
      eat_profile: 'tag:ietf.org,2026:rats/ear#04',
      iat: seconds('2026-11-24T08:00:00Z'),
      exp: seconds('2026-11-24T08:04:50Z'),
      sub: FULL.node.id,
      ear_verifier_id: { developer: 'urn:assay', build: 'assay 1.2.3' },
    });
    expect(claims.submods.boot.ear_appraisal_policy_ids).toEqual([
      `urn:assay:policy:web:7:sha256:${'ab'.repeat(32)}`,
    ]);
    expect(claims['urn:assay:verdict']).toMatchObject({ tier: 'full', outcome: 'pass' });
  });

  test('a nonce is base64url of 8 to 64 bytes, and nothing else', () => {
    const isNonce = (text: string) => new RegExp(EAR_NONCE_PATTERN).test(text);
    for (let length = 0; length <= 80; length += 1) {
      const bytes = Buffer.alloc(length, 0xfb);
      expect([length, isNonce(bytes.toString('base64url'))]).toEqual([length, length >= 8 && length <= 64]);
      expect(isNonce(bytes.toString('base64'))).toBe(false);
    }
    // Bits that belong to no byte, and a digit that is not a whole byte.
    expect(['bm9uY2Vub25jZR', 'bm9uY2Vub25jZ'].map(isNonce)).toEqual([false, false]);
  });

  test('echoes a nonce, and has none otherwise', () => {
    expect(earClaims(FULL, { ...CONTEXT, nonce: 'bm9uY2Vub25jZQ' }).eat_nonce).toBe('bm9uY2Vub25jZQ');
    expect(of({})).not.toHaveProperty('eat_nonce');
  });

  test('claims nothing of what the policy does not judge, and is not affirming as a whole', () => {
    expect(statuses({ judged: { boot: false, files: true } })).toBe('none affirming none none');
    expect(statuses({ judged: { boot: true, files: false } })).toBe('none affirming affirming none');
  });

  test('is not affirming as a whole where no manufacturer vouches, or the channel is not bound', () => {
    expect(statuses({ ekCertified: false })).toBe('none affirming affirming affirming');
    expect(vectors({ ekCertified: false })[0]).toEqual({ 'instance-identity': 2 });
    expect(statuses({ channelBound: false })).toBe('none affirming affirming affirming');
  });

  test('warns of what was only reported', () => {
    expect(statuses({ outcome: 'fail', reasons: [finding('ima.unknown')] })).toBe(
      'warning affirming affirming warning',
    );
    expect(statuses({ outcome: 'fail', reasons: [finding('boot.command-line')] })).toBe(
      'warning affirming warning none',
    );
  });

  test.each([
    ['pcr.value', [{ 'instance-identity': 2 }, { executables: 96 }, {}]],
    ['log.replay', [{ 'instance-identity': 2 }, { executables: 96 }, {}]],
    ['ima.unknown', [{ 'instance-identity': 2 }, {}, { executables: 96 }]],
    ['quote.signature', [{ 'instance-identity': 99 }, {}, {}]],
    ['id.clone', [{ 'instance-identity': 99 }, {}, {}]],
  ])('of a fail by %s contraindicates that part', (rule, expected) => {
    for (const state of ['failed', 'banned'] as const) {
      const facts = { state, outcome: 'fail', reasons: [finding(rule)] } as const;
      expect(vectors(facts)).toEqual(expected);
      expect(of(facts).ear_status).toBe('contraindicated');
      expect(of(facts).exp - of(facts).iat).toBe(300);
    }
  });

  test('of a ban by a person contraindicates the identity', () => {
    expect(vectors({ state: 'banned' })).toEqual([{ 'instance-identity': 96 }, {}, {}]);
  });

  test('of a node without fresh evidence claims nothing', () => {
    expect(vectors({ state: 'stale' })).toEqual([{}, {}, {}]);
    expect(statuses({ state: 'stale' })).toBe('none none none none');
    expect(of({ state: 'enrolled', policy: null }).submods.boot).toEqual({ ear_status: 'none' });
    expect(statuses({ state: 'pending' })).toBe('contraindicated contraindicated none none');
  });
});

test('values fall into the tiers of AR4SI, section 2.3.3', () => {
  const tiers = [-128, -97, -96, -33, -32, -2, -1, 0, 1, 2, 31, 32, 95, 96, 127].map((claim) =>
    ar4siTier({ executables: claim }),
  );
  expect(tiers.join(' ')).toBe(
    'contraindicated contraindicated warning warning affirming affirming none none none affirming affirming warning warning contraindicated contraindicated',
  );
  expect(worst(['affirming', 'contraindicated', 'none', 'warning'])).toBe('contraindicated');
  expect(worst(['affirming', 'none'])).toBe('none');
});
