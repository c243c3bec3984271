import { beforeEach, expect, test } from 'vitest';
import { AUDIT_ROOT, auditHash } from '../../../core/audit.ts';
import { appendAudit, verifyAudit } from '../../../platform/audit.ts';
import { auditLog } from '../../../platform/database/schema.ts';
import { useDatabase } from '../support/database.ts';

const database = useDatabase();

beforeEach(async () => {
  await database().pool.query('TRUNCATE audit_log');
  await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      database().transaction((tx) =>
        appendAudit(tx, {
          actor: 'admin:a',
          act: 'node.approve',
          subject: `n${index}`,
          detail: { z: 1, a: [index] },
        }),
      ),
    ),
  );
});

test('audit.chain: entries that were added at once form one whole chain', async () => {
  expect(await verifyAudit(database().db)).toEqual({ ok: true, entries: 8, firstBroken: null });
});

const damages: readonly [name: string, sql: string, firstBroken: number][] = [
  ['a changed actor', "UPDATE audit_log SET actor = 'admin:b' WHERE seq = 3", 3],
  ['a changed detail', `UPDATE audit_log SET detail = '{"z":2}' WHERE seq = 4`, 4],
  ['a changed time', "UPDATE audit_log SET at = at + interval '1 ms' WHERE seq = 5", 5],
  ['a removed entry', 'DELETE FROM audit_log WHERE seq = 3', 4],
  [
    'an inserted entry',
    `UPDATE audit_log SET seq = seq + 100 WHERE seq > 5; UPDATE audit_log SET seq = seq - 99 WHERE seq > 100;
     INSERT INTO audit_log SELECT 6, at, actor, 'node.ban', subject, detail, previous_hash, hash FROM audit_log WHERE seq = 5`,
    6,
  ],
  [
    'two entries that changed places',
    'UPDATE audit_log SET seq = 100 WHERE seq = 2; UPDATE audit_log SET seq = 2 WHERE seq = 3; UPDATE audit_log SET seq = 3 WHERE seq = 100',
    2,
  ],
  ['a removed first entry', 'DELETE FROM audit_log WHERE seq = 1', 2],
  ['a changed link', "UPDATE audit_log SET previous_hash = sha256('x') WHERE seq = 4", 4],
  ['a changed hash', "UPDATE audit_log SET hash = sha256('x') WHERE seq = 8", 8],
];
for (const [name, sql, firstBroken] of damages) {
  test(`audit.chain: ${name} is found`, async () => {
    await database().pool.query(sql);
    expect(await verifyAudit(database().db)).toMatchObject({ ok: false, firstBroken });
  });
}

test('audit.chain: a chain that fits but does not begin at the beginning is found', async () => {
  await database().pool.query('TRUNCATE audit_log');
  const entry = { seq: 2, actor: 'admin:a', act: 'test', subject: 'x', detail: {} };
  const at = new Date(0);
  const hash = auditHash(AUDIT_ROOT, { ...entry, at: at.toISOString() });
  await database()
    .db.insert(auditLog)
    .values({ ...entry, at, previousHash: AUDIT_ROOT, hash });
  expect(await verifyAudit(database().db)).toEqual({ ok: false, entries: 0, firstBroken: 2 });
});

test('audit.chain: what JSON and the database write differently is still one entry', async () => {
  await database().transaction((tx) =>
    appendAudit(tx, {
      actor: 'admin:ä',
      act: 'test',
      subject: 'x',
      detail: {
        when: new Date(0),
        none: undefined,
        small: 1e-7,
        large: 2 ** 80,
        zero: -0,
        text: '\u2028é',
      },
    }),
  );
  expect(await verifyAudit(database().db)).toEqual({ ok: true, entries: 9, firstBroken: null });
});

test('audit.chain: an act that is rolled back leaves no entry', async () => {
  const act = database().transaction(async (tx) => {
    await appendAudit(tx, { actor: 'admin:a', act: 'test', subject: 'x' });
    throw new Error('no');
  });
  await expect(act).rejects.toThrow('no');
  expect(await verifyAudit(database().db)).toEqual({ ok: true, entries: 8, firstBroken: null });
});
