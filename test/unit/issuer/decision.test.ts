import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decideIssue, type IssueFacts, refused } from '../../../issuer/domain/decision.ts';

const now = new Date('2026-03-01T12:00:00.700Z');
const after = (seconds: number) => new Date(now.getTime() + seconds * 1000);
const groups = new Map([
  ['web', { ttlMs: 600_000, keyModes: ['tpm'] as const, fullTierCa: false }],
  ['db', { ttlMs: 60_000, keyModes: ['tpm', 'delivered'] as const, fullTierCa: true }],
]);
const node = { version: 3, admission: 'admitted', groupName: 'web' } as const;
const trust = { epoch: 5, standing: 'passing', nodeVersion: 3, trustedUntil: after(3600) } as const;
const trusted: IssueFacts = { node, trust, tier: 'full', now };

const refusals: readonly [name: string, facts: IssueFacts, rule: string, code?: string][] = [
  ['a retired node', { ...trusted, node: { ...node, admission: 'retired' } }, 'node.retired'],
  ['a banned node', { ...trusted, trust: { ...trust, standing: 'banned' } }, 'node.banned'],
  [
    'a node that waits for admission',
    { ...trusted, node: { ...node, admission: 'pending' } },
    'node.pending',
    'not-admitted',
  ],
  ['a failed node', { ...trusted, trust: { ...trust, standing: 'failed' } }, 'node.failed'],
  [
    'a node that failed as an earlier version',
    { ...trusted, trust: { ...trust, standing: 'failed', nodeVersion: 2 } },
    'node.failed',
  ],
  ['a node without a verdict', { ...trusted, trust: undefined }, 'node.enrolled'],
  ['a node of unknown standing', { ...trusted, trust: { ...trust, standing: 'unknown' } }, 'node.enrolled'],
  [
    'id.one-record: a node that passed as an earlier version',
    { ...trusted, trust: { ...trust, nodeVersion: 2 } },
    'node.enrolled',
  ],
  [
    'trust.expires: a node whose trust ran out',
    { ...trusted, trust: { ...trust, trustedUntil: after(-1) } },
    'node.stale',
  ],
  [
    'a node whose trust ends right now',
    { ...trusted, trust: { ...trust, trustedUntil: after(29) } },
    'node.stale',
  ],
  [
    'trust.expires: a node whose trust has no end',
    { ...trusted, trust: { ...trust, trustedUntil: null } },
    'node.stale',
  ],
  [
    'a group without an issuing CA',
    { ...trusted, node: { ...node, groupName: 'other' } },
    'issue.group',
    'conflict',
  ],
];

for (const [name, facts, rule, code = 'not-trusted'] of refusals) {
  test(`${name} gets nothing (${rule})`, () => {
    expect(decideIssue(facts, 'tpm', groups)).toMatchObject({ granted: false, rule, code });
  });
}

test('a key mode that the group does not allow is refused', () => {
  expect(decideIssue(trusted, 'delivered', groups)).toMatchObject({ granted: false, rule: 'issue.key-mode' });
  expect(decideIssue({ ...trusted, node: { ...node, groupName: 'db' } }, 'delivered', groups).granted).toBe(
    true,
  );
});

test('nodes of the full tier, and they alone, get theirs from the CA that is for them', () => {
  const signedFor = (groupName: string, tier: IssueFacts['tier']) =>
    decideIssue({ ...trusted, tier, node: { ...node, groupName } }, 'tpm', groups);
  expect(signedFor('db', 'full')).toMatchObject({ granted: true, tier: 'full' });
  for (const tier of ['partial', 'stale', 'untrusted'] as const)
    expect(signedFor('db', tier)).toMatchObject({ granted: true, tier: null });
  expect(signedFor('web', 'full'), 'the group has none').toMatchObject({ granted: true, tier: null });
});

test('a banned node that is pending hears that it is banned', () => {
  const facts = {
    ...trusted,
    node: { ...node, admission: 'pending' as const },
    trust: { ...trust, standing: 'banned' as const },
  };
  expect(decideIssue(facts, 'tpm', groups)).toMatchObject({ rule: 'node.banned' });
});

test('a trusted node gets its group, its epoch, and the TTL in whole seconds', () => {
  expect(decideIssue(trusted, 'tpm', groups)).toEqual({
    granted: true,
    epoch: 5,
    groupName: 'web',
    tier: null,
    notBefore: new Date('2026-03-01T11:58:00Z'),
    notAfter: new Date('2026-03-01T12:10:00Z'),
  });
});

test('issue.profile: no certificate ends after the trust it rests on, or after the TTL', () => {
  fc.assert(
    fc.property(fc.integer({ min: -10_000, max: 2_000_000 }), (milliseconds) => {
      const trustedUntil = new Date(now.getTime() + milliseconds);
      const decision = decideIssue({ ...trusted, trust: { ...trust, trustedUntil } }, 'tpm', groups);
      if (!decision.granted) return milliseconds < 31_000;
      const { notAfter } = decision;
      expect(notAfter.getTime() % 1000).toBe(0);
      expect(notAfter.getTime()).toBeLessThanOrEqual(trustedUntil.getTime());
      expect(notAfter.getTime()).toBeLessThanOrEqual(now.getTime() + 600_000);
      return notAfter.getTime() - now.getTime() >= 30_000;
    }),
  );
});

test('a refusal tells the agent its rule', () => {
  const decision = decideIssue({ ...trusted, trust: undefined }, 'tpm', groups);
  if (decision.granted) throw new Error('granted');
  expect(refused(decision)).toMatchObject({ code: 'not-trusted', details: [{ rule: 'node.enrolled' }] });
});
