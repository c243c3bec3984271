import { beforeEach, expect, test } from 'vitest';
import { appendAudit, verifyAudit } from '../../../platform/audit.ts';
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
  ['a changed hash', "UPDATE audit_log SET hash = sha256('x') WHERE seq = 8", 8],
];
for (const [name, sql, firstBroken] of damages) {
  test(`audit.chain: ${name} is found`, async () => {
    await database().pool.query(sql);
    expect(await verifyAudit(database().db)).toMatchObject({ ok: false, firstBroken });
  });
}
