import { describe, expect, test } from 'vitest';
import { toHex } from '../../../core/bytes/encoding.ts';
import { AssayError } from '../../../core/errors.ts';
import { shardOf } from '../../../core/identity.ts';
import { computeName } from '../../../core/tpm/name.ts';
import {
  auditLog,
  enrolment,
  inventory,
  joinToken,
  node as nodeTable,
} from '../../../platform/database/schema.ts';
import { approveNode, retireNode } from '../../../registrar/store/lifecycle.ts';
import { readRecord } from '../../../registrar/store/records.ts';
import { softwareEcc } from '../../unit/core/tpm/software-key.ts';
import { useDatabase } from '../support/database.ts';
import {
  addInventory,
  authTagOf,
  certificate,
  createToken,
  ELSEWHERE,
  HERE,
  openDesk,
  proofOf,
} from './desk.ts';
import { softwareNode, tlsIdentity } from './software-node.ts';

const database = useDatabase();
const WRONG = new Uint8Array(32);

async function recordOf(id: string) {
  const record = await readRecord(database().db, id);
  if (!record) throw new Error(`there is no record ${id}`);
  return record;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => new Error('nothing was refused'),
    (reason: unknown) => reason,
  );
  if (error instanceof AssayError) return error.code;
  throw error;
}

describe('activation', () => {
  test('a challenge that is answered makes the record, pending without inventory or token', async () => {
    const { enrol } = openDesk(database());
    const node = await softwareNode({ certificates: [certificate('first')] });
    const record = await recordOf(await enrol(node));
    expect(record).toMatchObject({ version: 1, alias: node.alias, admission: 'pending', state: 'pending' });
    expect(toHex(record.akName)).toBe(toHex(computeName(node.ak.publicArea)));
    expect(toHex(record.tlsCertificate ?? new Uint8Array())).toBe(toHex(node.tls.der));
    expect(record.shard).toBe(shardOf(record.id));
  });

  test('ak.activation: nothing is there before the answer', async () => {
    const { ask } = openDesk(database());
    const { candidate } = await ask(await softwareNode());
    expect(await readRecord(database().db, candidate.nodeId)).toBeUndefined();
  });

  test('ak.activation: a wrong answer spends the challenge, also for the right one after it', async () => {
    const { ask, enrolments } = openDesk(database());
    const node = await softwareNode();
    const opened = await ask(node);
    expect(await codeOf(enrolments.activate(opened.id, WRONG))).toBe('activation-failed');
    expect(await codeOf(enrolments.activate(opened.id, proofOf(node, opened)))).toBe('challenge-unknown');
    expect(await readRecord(database().db, opened.candidate.nodeId)).toBeUndefined();
  });

  test('ak.activation: a wrong answer spends that challenge only', async () => {
    const { ask, enrolments } = openDesk(database());
    const node = await softwareNode();
    const [first, second] = [await ask(node), await ask(node)];
    expect(await codeOf(enrolments.activate(second.id, WRONG))).toBe('activation-failed');
    expect(await enrolments.activate(first.id, proofOf(node, first))).toBe(first.candidate.nodeId);
  });

  test('ak.activation: an answer comes in time or not at all', async () => {
    const { ask, enrolments } = openDesk(database());
    const node = await softwareNode();
    const opened = await ask(node);
    await database().pool.query("UPDATE enrolment SET expires_at = now() - interval '1 ms' WHERE id = $1", [
      opened.id,
    ]);
    expect(await codeOf(enrolments.activate(opened.id, proofOf(node, opened)))).toBe('challenge-unknown');
  });

  test('ak.activation: of 20 answers at once to one challenge one counts', async () => {
    const { ask, enrolments } = openDesk(database());
    const node = await softwareNode();
    const opened = await ask(node);
    const proof = proofOf(node, opened);
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () => enrolments.activate(opened.id, proof)),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect((await recordOf(opened.candidate.nodeId)).version).toBe(1);
  });

  test('the answer to one challenge is no answer to another', async () => {
    const { ask, enrolments } = openDesk(database());
    const node = await softwareNode();
    const [first, second] = [await ask(node), await ask(node)];
    expect(await codeOf(enrolments.activate(second.id, proofOf(node, first)))).toBe('activation-failed');
  });

  test('ak.activation: the secret and the token are not kept, nor anything they could be found from', async () => {
    const { ask } = openDesk(database());
    const node = await softwareNode();
    const token = await createToken(database());
    const opened = await ask(node, { token });
    const rows = await database().db.select().from(enrolment);
    const text = JSON.stringify(rows);
    expect(text).toContain(opened.id);
    expect(text).not.toContain(token.slice('assay_'.length));
    expect(text).not.toContain(Buffer.from(proofOf(node, opened, token)).toString('base64'));
  });
});

describe('the record', () => {
  test('id.immutable: registering the public keys of somebody else changes nothing', async () => {
    const { enrol, ask, enrolments } = openDesk(database());
    const victim = await softwareNode({ certificates: [certificate('victim')] });
    const before = await recordOf(await enrol(victim, { token: await createToken(database()) }));
    const thief = await softwareNode({ ...victim, tls: await tlsIdentity() });
    const opened = await ask(thief, { contact: { host: '203.0.113.66', port: 1 }, network: ELSEWHERE });
    expect(opened.candidate.nodeId).toBe(before.id);
    expect(await codeOf(enrolments.activate(opened.id, WRONG))).toBe('activation-failed');
    expect(await recordOf(before.id)).toEqual(before);
  });

  test('ak.activation: an AK outside the TPM of the EK cannot answer', async () => {
    const { ask } = openDesk(database());
    const victim = await softwareNode();
    const thief = await softwareNode({ ...victim, ak: softwareEcc() });
    const opened = await ask(thief);
    // The victim's TPM holds another AK, whose name the credential was not made for.
    expect(() => proofOf(victim, opened)).toThrow(AssayError);
  });

  test('the same EK again is the next version, and stays admitted', async () => {
    const { enrol } = openDesk(database());
    const node = await softwareNode({ certificates: [certificate('again')] });
    const id = await enrol(node, { token: await createToken(database()) });
    const first = await recordOf(id);
    const next = await softwareNode({ ...node, ak: softwareEcc(), alias: 'renamed-1' });
    expect(await enrol(next)).toBe(id);
    const second = await recordOf(id);
    expect(second).toMatchObject({
      version: 2,
      alias: 'renamed-1',
      admission: 'admitted',
      groupName: 'build',
    });
    expect(second).toMatchObject({ admittedAt: first.admittedAt, admissionReason: first.admissionReason });
    expect(toHex(second.akName)).toBe(toHex(computeName(next.ak.publicArea)));
  });

  test('id.clone: where an admitted node was before is kept until it was probed', async () => {
    const { enrol } = openDesk(database());
    const node = await softwareNode({ certificates: [certificate('moves')] });
    const id = await enrol(node, { token: await createToken(database()) });
    expect((await recordOf(id)).previousContact).toBeNull();
    const moved = await softwareNode({ ...node, tls: await tlsIdentity() });
    await enrol(moved, { contact: { host: '203.0.113.5', port: 9002 } });
    const kept = {
      host: '127.0.0.1',
      port: 9002,
      tlsCertificate: Buffer.from(node.tls.der).toString('base64'),
    };
    expect((await recordOf(id)).previousContact).toMatchObject(kept);
    await enrol(moved, { contact: { host: '203.0.113.5', port: 9003 } });
    expect((await recordOf(id)).previousContact).toMatchObject(kept);
  });

  test('id.clone: a TLS certificate of another node is refused and nothing changes', async () => {
    const { ask, enrol, enrolments } = openDesk(database());
    const node = await softwareNode();
    const id = await enrol(node);
    const copy = await softwareNode({ tls: node.tls });
    const opened = await ask(copy);
    await expect(enrolments.activate(opened.id, proofOf(copy, opened))).rejects.toMatchObject({
      code: 'identity-refused',
      details: [{ rule: 'id.clone', message: expect.stringContaining(id) }],
    });
    expect(await readRecord(database().db, opened.candidate.nodeId)).toBeUndefined();
    expect(await codeOf(enrolments.activate(opened.id, proofOf(copy, opened)))).toBe('challenge-unknown');
  });

  test('id.clone: two nodes that enrol at once with one TLS certificate cannot both have it', async () => {
    const { enrol } = openDesk(database());
    const tls = await tlsIdentity();
    const nodes = await Promise.all([softwareNode({ tls }), softwareNode({ tls }), softwareNode({ tls })]);
    const results = await Promise.allSettled(nodes.map((node) => enrol(node)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('a retired node stays retired when it enrols again, with a token too', async () => {
    const { enrol } = openDesk(database());
    const node = await softwareNode({ certificates: [certificate('retired')] });
    const id = await enrol(node, { token: await createToken(database()) });
    await database().transaction((tx) => retireNode(tx, id, 'scrapped', 'admin:ann'));
    const token = await createToken(database());
    await enrol(node, { token });
    expect(await recordOf(id)).toMatchObject({ version: 2, admission: 'retired', state: 'retired' });
  });

  test('enrolling many at once of one node gives as many versions', async () => {
    const { ask, enrolments } = openDesk(database());
    const node = await softwareNode();
    const opened = await Promise.all(Array.from({ length: 8 }, () => ask(node)));
    await Promise.all(opened.map((one) => enrolments.activate(one.id, proofOf(node, one))));
    const [first] = opened;
    expect((await recordOf(first?.candidate.nodeId ?? '')).version).toBe(8);
  });

  test('audit.chain: each enrolment stands in the audit log', async () => {
    const { enrol } = openDesk(database());
    const id = await enrol(await softwareNode());
    const rows = await database().db.select().from(auditLog);
    const acts = rows.filter(({ subject }) => subject === id);
    expect(acts).toMatchObject([{ actor: `node:${id}`, act: 'node.enrol', detail: { version: 1 } }]);
  });
});

describe('the alias', () => {
  async function admitted(alias: string) {
    const { enrol } = openDesk(database());
    const node = await softwareNode({ alias, certificates: [certificate(alias)] });
    return { node, id: await enrol(node, { token: await createToken(database()) }) };
  }

  test('id.immutable: the same alias with another EK waits for a person, and is told who holds it', async () => {
    const { enrol } = openDesk(database());
    const holder = await admitted('web-1');
    const other = await softwareNode({ alias: 'web-1', certificates: [certificate('other web-1')] });
    await addInventory(database(), other.ekSha256);
    const token = await createToken(database());
    const id = await enrol(other, { token });
    const record = await recordOf(id);
    expect(record.admission).toBe('pending');
    expect(record.admissionReason).toContain(holder.id);
    expect((await recordOf(holder.id)).version).toBe(1);
    const [claimed] = (await database().db.select().from(inventory)).filter(({ nodeId }) => nodeId === id);
    expect(claimed).toBeUndefined();
  });

  test('id.immutable: a person may approve it only when the holder is retired', async () => {
    const { enrol } = openDesk(database());
    const holder = await admitted('web-2');
    const id = await enrol(await softwareNode({ alias: 'web-2', certificates: [certificate('w2')] }));
    const approve = () =>
      database().transaction((tx) =>
        approveNode(tx, id, { group: 'edge', reason: 'new board' }, 'admin:ann'),
      );
    expect(await codeOf(approve())).toBe('conflict');
    await database().transaction((tx) => retireNode(tx, holder.id, 'board broken', 'admin:ann'));
    await approve();
    expect(await recordOf(id)).toMatchObject({
      admission: 'admitted',
      groupName: 'edge',
      admittedBy: 'admin:ann',
    });
  });

  test('id.immutable: an admitted node cannot take the alias of another', async () => {
    const { enrol } = openDesk(database());
    const holder = await admitted('web-3');
    const thief = await admitted('thief-3');
    const renamed = await softwareNode({ ...thief.node, alias: 'web-3' });
    expect(await codeOf(enrol(renamed))).toBe('conflict');
    expect(await recordOf(thief.id)).toMatchObject({ version: 1, alias: 'thief-3' });
    expect(await recordOf(holder.id)).toMatchObject({ version: 1, alias: 'web-3' });
  });

  test('id.immutable: of two nodes that enrol at once under one alias one is admitted', async () => {
    const { enrol } = openDesk(database());
    const nodes = await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        softwareNode({ alias: 'web-4', certificates: [certificate(`w4${name}`)] }),
      ),
    );
    const tokens = await Promise.all(nodes.map(() => createToken(database())));
    const ids = await Promise.all(nodes.map((node, i) => enrol(node, { token: tokens[i] ?? '' })));
    const records = await Promise.all(ids.map(recordOf));
    expect(records.filter(({ admission }) => admission === 'admitted')).toHaveLength(1);
  });

  test('a pending node blocks nobody', async () => {
    const { enrol } = openDesk(database());
    await enrol(await softwareNode({ alias: 'web-5' }));
    const node = await softwareNode({ alias: 'web-5', certificates: [certificate('w5')] });
    const id = await enrol(node, { token: await createToken(database()) });
    expect((await recordOf(id)).admission).toBe('admitted');
  });
});

describe('admission', () => {
  test('the inventory admits by EK, and its entry names the node', async () => {
    const { enrol } = openDesk(database());
    const node = await softwareNode();
    await addInventory(database(), node.ekSha256, 'rack 12');
    const id = await enrol(node);
    expect(await recordOf(id)).toMatchObject({
      admission: 'admitted',
      groupName: 'edge',
      assetName: 'rack 12',
    });
    const rows = await database().db.select().from(inventory);
    expect(rows.find(({ assetName }) => assetName === 'rack 12')?.nodeId).toBe(id);
  });

  test('a token admits one node', async () => {
    const { enrol } = openDesk(database());
    const token = await createToken(database(), 'build');
    const [first, second] = await Promise.all(
      ['t1', 't2'].map((name) => softwareNode({ certificates: [certificate(name)] })),
    );
    if (!first || !second) throw new Error('two nodes');
    const ids = await Promise.all([enrol(first, { token }), enrol(second, { token })]);
    const records = await Promise.all(ids.map(recordOf));
    expect(records.map(({ admission }) => admission).sort()).toEqual(['admitted', 'pending']);
    const used = records.find(({ admission }) => admission === 'pending');
    expect(used?.admissionReason).toContain('used before');
  });

  test('ek.chain: a token alone does not admit an EK without certificate, and stays unused', async () => {
    const { enrol } = openDesk(database());
    const token = await createToken(database(), 'bare');
    const id = await enrol(await softwareNode(), { token });
    expect((await recordOf(id)).admission).toBe('pending');
    const rows = await database().db.select().from(joinToken);
    expect(rows.find(({ groupName }) => groupName === 'bare')?.usedAt).toBeNull();
  });

  test('a token is not spent when the activation fails', async () => {
    const { ask, enrol, enrolments } = openDesk(database());
    const node = await softwareNode({ certificates: [certificate('retry')] });
    const token = await createToken(database());
    const opened = await ask(node, { token });
    expect(await codeOf(enrolments.activate(opened.id, WRONG))).toBe('activation-failed');
    expect((await recordOf(await enrol(node, { token }))).admission).toBe('admitted');
  });

  test('an expired token admits nobody', async () => {
    const { enrol } = openDesk(database());
    const token = await createToken(database(), 'late', 0);
    const id = await enrol(await softwareNode({ certificates: [certificate('late')] }), { token });
    expect(await recordOf(id)).toMatchObject({
      admission: 'pending',
      admissionReason: expect.stringContaining('has expired'),
    });
  });
});

describe('Keylime agents', () => {
  test('activate by alias, from where they asked', async () => {
    const { askKeylime, enrolments } = openDesk(database());
    const node = await softwareNode();
    const opened = await askKeylime(node);
    const id = await enrolments.activateAlias(node.alias, HERE, authTagOf(node, opened));
    expect(id).toBe(opened.candidate.nodeId);
  });

  test('of several open challenges each answer finds its own', async () => {
    const { askKeylime, enrolments } = openDesk(database());
    const node = await softwareNode();
    const first = await askKeylime(node);
    await askKeylime(node);
    expect(await enrolments.activateAlias(node.alias, HERE, authTagOf(node, first))).toBe(
      first.candidate.nodeId,
    );
  });

  test('api.limits: wrong tags from elsewhere do not spend the challenge of a victim', async () => {
    const { askKeylime, enrolments } = openDesk(database());
    const victim = await softwareNode();
    const opened = await askKeylime(victim);
    const attacker = await softwareNode({ alias: victim.alias });
    await askKeylime(attacker, { network: ELSEWHERE });
    for (const expected of ['activation-failed', 'challenge-unknown']) {
      expect(await codeOf(enrolments.activateAlias(victim.alias, ELSEWHERE, WRONG))).toBe(expected);
    }
    const id = await enrolments.activateAlias(victim.alias, HERE, authTagOf(victim, opened));
    expect(id).toBe(opened.candidate.nodeId);
  });

  test('ak.activation: a wrong tag spends the newest challenge of its address, and no other', async () => {
    const { askKeylime, enrolments } = openDesk(database());
    const node = await softwareNode();
    const first = await askKeylime(node);
    const second = await askKeylime(node);
    expect(await codeOf(enrolments.activateAlias(node.alias, HERE, WRONG))).toBe('activation-failed');
    expect(await codeOf(enrolments.activateAlias(node.alias, HERE, authTagOf(node, second)))).toBe(
      'activation-failed',
    );
    expect(await codeOf(enrolments.activateAlias(node.alias, HERE, authTagOf(node, first)))).toBe(
      'challenge-unknown',
    );
  });

  test('one protocol cannot answer the challenges of the other', async () => {
    const { askKeylime, ask, enrolments } = openDesk(database());
    const node = await softwareNode();
    const [keylime, ours] = [await askKeylime(node), await ask(node)];
    expect(await codeOf(enrolments.activate(keylime.id, authTagOf(node, keylime)))).toBe('challenge-unknown');
    await enrolments.activateAlias(node.alias, HERE, authTagOf(node, keylime));
    expect(await codeOf(enrolments.activateAlias(node.alias, HERE, proofOf(node, ours)))).toBe(
      'challenge-unknown',
    );
  });
});

describe('limits', () => {
  test('api.limits: an address has a share of open challenges', async () => {
    const { ask } = openDesk(database(), { maxOpenPerAddress: 3 });
    const node = await softwareNode();
    const network = '203.0.113.30';
    for (let i = 0; i < 3; i += 1) await ask(node, { network });
    expect(await codeOf(ask(node, { network }))).toBe('rate-limited');
    await expect(ask(node, { network: '203.0.113.31' })).resolves.toBeDefined();
  });

  test('api.limits: the share holds when many are asked for at once', async () => {
    const { ask } = openDesk(database(), { maxOpenPerAddress: 3 });
    const node = await softwareNode();
    const asked = await Promise.allSettled(
      Array.from({ length: 12 }, () => ask(node, { network: '203.0.113.40' })),
    );
    expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
  });

  test('api.limits: when all is full, the one that asks most loses, not the one that asks now', async () => {
    await database().db.delete(enrolment);
    const { ask, enrolments } = openDesk(database(), { maxOpen: 4 });
    const [greedy, victim] = [await softwareNode(), await softwareNode()];
    const flood = [];
    for (let i = 0; i < 4; i += 1) flood.push(await ask(greedy, { network: ELSEWHERE }));
    const opened = await ask(victim, { network: HERE });
    expect(await codeOf(ask(greedy, { network: ELSEWHERE }))).toBe('rate-limited');
    expect(await enrolments.activate(opened.id, proofOf(victim, opened))).toBe(opened.candidate.nodeId);
    const [oldest] = flood;
    if (!oldest) throw new Error('four were asked for');
    expect(await codeOf(enrolments.activate(oldest.id, proofOf(greedy, oldest)))).toBe('challenge-unknown');
  });

  test('old challenges are removed', async () => {
    const { ask } = openDesk(database());
    const node = await softwareNode();
    const old = await ask(node);
    await database().pool.query("UPDATE enrolment SET expires_at = now() - interval '2 min' WHERE id = $1", [
      old.id,
    ]);
    await ask(node);
    const rows = await database().db.select({ id: enrolment.id }).from(enrolment);
    expect(rows.map(({ id }) => id)).not.toContain(old.id);
  });
});

test('a node is told to whoever listens, with its id', async () => {
  const heard: string[] = [];
  const listener = await database().listen('assay_node', (payload) => heard.push(payload));
  const { enrol } = openDesk(database());
  const id = await enrol(await softwareNode());
  await expect.poll(() => heard).toContain(id);
  await listener.close();
  expect((await database().db.select({ id: nodeTable.id }).from(nodeTable)).map((row) => row.id)).toContain(
    id,
  );
});
