import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AUDIT_ROOT, type AuditEntry, auditHash, canonicalJson } from '../../../core/audit.ts';
import { toHex } from '../../../core/bytes/encoding.ts';

const ENTRY: AuditEntry = {
  seq: 1,
  at: '2026-01-02T03:04:05.678Z',
  actor: 'admin:ada',
  act: 'node.approve',
  subject: 'node 1',
  detail: { group: 'a', reason: { text: 'ok', count: 2 } },
};

test('audit.chain: the hash of an entry is this one, in every release', () => {
  expect(toHex(auditHash(AUDIT_ROOT, ENTRY))).toMatchInlineSnapshot(
    `"8e6bb3535dc0477c797dcdf3a9153a50000373122316eec114b612abf9ee131f"`,
  );
});

const changes: readonly [name: string, entry: AuditEntry][] = [
  ['its number', { ...ENTRY, seq: 2 }],
  ['its time', { ...ENTRY, at: '2026-01-02T03:04:05.679Z' }],
  ['its actor', { ...ENTRY, actor: 'admin:bob' }],
  ['its act', { ...ENTRY, act: 'node.ban' }],
  ['its subject', { ...ENTRY, subject: 'node 2' }],
  ['its detail', { ...ENTRY, detail: { ...ENTRY.detail, group: 'b' } }],
  ['a nested detail', { ...ENTRY, detail: { group: 'a', reason: { text: 'ok', count: 3 } } }],
  ['text that moves from one field to the next', { ...ENTRY, actor: 'admin:adanode', act: '.approve' }],
];
for (const [name, entry] of changes) {
  test(`audit.chain: ${name} counts`, () => {
    expect(toHex(auditHash(AUDIT_ROOT, entry))).not.toBe(toHex(auditHash(AUDIT_ROOT, ENTRY)));
  });
}

test('audit.chain: the entry before counts', () => {
  const other = new Uint8Array(32).fill(1);
  expect(toHex(auditHash(other, ENTRY))).not.toBe(toHex(auditHash(AUDIT_ROOT, ENTRY)));
});

test('canonical JSON does not depend on the order of keys, and says the same as JSON', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const reversed = Object.fromEntries(Object.entries(value).reverse());
      expect(canonicalJson(reversed)).toBe(canonicalJson(value));
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('canonical JSON tells different values apart', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      const same = canonicalJson(a) === canonicalJson(b);
      const normal = (value: unknown) => JSON.parse(JSON.stringify(value));
      if (same) expect(normal(a)).toEqual(normal(b));
    }),
  );
});
