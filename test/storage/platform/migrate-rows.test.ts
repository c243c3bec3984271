import { copyFile, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { migrate } from '../../../platform/database/migrate.ts';
import { createDatabase, migrationsDirectory } from '../support/database.ts';

// A database of the first release, with rows in it, brought up to date.

let directory: string;
let made: Awaited<ReturnType<typeof createDatabase>>;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'assay-migrations-'));
  await copyFile(join(migrationsDirectory, '0001_init.sql'), join(directory, '0001_init.sql'));
  made = await createDatabase({ empty: true });
  await migrate(made.database.pool, directory);
});
afterEach(async () => {
  await made.database.close();
  await made.drop();
  await rm(directory, { recursive: true });
});

const query = (text: string, values: unknown[] = []) => made.database.pool.query(text, values);

/** As the first release wrote them. */
function insertNode(id: string, alias: string) {
  return query(
    `INSERT INTO node (id, alias, ek_spki_sha256, ek_public, ak_public, ak_name, tls_certificate, tls_sha256,
       contact_host, contact_port, api_version, previous_contact, admission, admission_reason, group_name, shard)
     VALUES ($1, $2::text, sha256(convert_to($2, 'UTF8')), '\\x01', '\\x02', '\\x03', '\\x04',
       sha256(convert_to($2, 'UTF8')), '192.0.2.1', 9002, '2.6',
       '{"host":"192.0.2.2","port":9002,"tlsCertificate":null,"akPublic":"AA=="}', 'admitted', 'test', 'web', 7)`,
    [id, alias],
  );
}

const NODES = ['00000000-0000-8000-8000-000000000001', '00000000-0000-8000-8000-000000000002'] as const;

async function fill(): Promise<void> {
  const [failed, trusted] = NODES;
  await insertNode(failed, 'old-failed');
  await insertNode(trusted, 'old-trusted');
  await query(
    `INSERT INTO node_trust (node_id, epoch, standing, node_version, trusted_until, outcome, reasons) VALUES
       ($1, 1, 'banned', 1, NULL, 'fail', '[{"rule":"pcr.value","message":"m","pcr":1}]'),
       ($2, 0, 'passing', 1, now() + interval '1 hour', 'pass', '[]')`,
    [failed, trusted],
  );
  await query(`INSERT INTO trust_event (node_id, kind, epoch) VALUES ($1, 'banned', 1)`, [failed]);
  await query(
    `INSERT INTO verdict (node_id, node_version, outcome, evidence) VALUES ($1, 1, 'fail', '{"quote":"r"}'),
       ($2, 1, 'pass', NULL)`,
    [failed, trusted],
  );
  for (const [index, id] of NODES.entries()) {
    await query(
      `INSERT INTO certificate (serial, node_id, node_version, epoch, group_name, authority_sha256, key_mode,
         subject_spki_sha256, not_before, not_after)
       VALUES (decode($2, 'hex'), $1, 1, 0, 'web', '\\x05', 'tpm', '\\x06', now(), now() + interval '10 minutes')`,
      [id, `0${index + 1}`],
    );
  }
}

const TABLES = ['node', 'node_trust', 'trust_event', 'verdict', 'certificate'];
const VIEWS = ['node_state', 'certificate_status'];

async function rowsOf(names: readonly string[]): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const name of names) {
    const { rows } = await query(
      `SELECT row FROM (SELECT to_jsonb(t) AS row FROM ${name} t) AS all_of_it ORDER BY row->>'node_id', row`,
    );
    found[name] = rows.map(({ row }) => row);
  }
  return found;
}

async function upgrade(): Promise<string[]> {
  for (const name of await readdir(migrationsDirectory))
    await copyFile(join(migrationsDirectory, name), join(directory, name));
  return migrate(made.database.pool, directory);
}

test('db.migrate: what the first release wrote is all there, and means the same', async () => {
  await fill();
  const [before, meant] = [await rowsOf(TABLES), await rowsOf(VIEWS)];
  expect(meant).toMatchObject({
    node_state: [{ state: 'banned' }, { state: 'trusted' }],
    certificate_status: [{ revoked: true }, { revoked: false }],
  });
  expect(await upgrade()).toContain('0002_node_protocol.sql');
  expect(await rowsOf(TABLES)).toMatchObject(before);
  expect(await rowsOf(VIEWS)).toEqual(meant);
});

test('quote.channel: a node of the first release is not taken for one of Keylime', async () => {
  await fill();
  await upgrade();
  const { rows } = await query('SELECT DISTINCT protocol FROM node');
  expect(rows).toEqual([{ protocol: null }]);
});

test('db.migrate: a process of the first release goes on writing after it', async () => {
  await upgrade();
  await fill();
  expect(await rowsOf(VIEWS)).toMatchObject({ node_state: [{ state: 'banned' }, { state: 'trusted' }] });
});

test('a protocol that is none is refused', async () => {
  await fill();
  await upgrade();
  await expect(query("UPDATE node SET protocol = 'other'")).rejects.toThrow(/check constraint/);
});
