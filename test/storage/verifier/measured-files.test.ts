import { hash } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MeasuredFiles } from '../../../tpm-sim/fleet/measured-files.ts';
import { readNodeFiles } from '../../../verifier/node-measurements.ts';
import { useDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { emptyTables, Lab } from './lab.ts';
import { addFilePolicy, fileScene, storedSet } from './measured-scene.ts';

const database = useDatabase();
let lab: Lab;

beforeEach(async () => {
  await emptyTables(database());
  await database().pool.query('TRUNCATE digest_set');
  lab = new Lab(database());
});
afterEach(() => lab.close());

describe('a node whose policy judges files', () => {
  test('passes with allowed files, and shows each entry once', async () => {
    const { agent, files, id, asked } = await fileScene(lab);
    expect((await lab.attest(id))?.outcome).toBe('pass');
    expect(asked[0]).toBe(0);
    expect(asked.filter((entry) => entry === 0)).toHaveLength(1);
    files.use('/usr/bin/date', 'date');
    expect((await lab.attest(id))?.outcome).toBe('pass');
    expect((await lab.attest(id))?.outcome).toBe('pass');
    expect(asked.slice(-2)).toEqual([2, 3]);
    expect(agent.quotes).toBe(asked.length);
  });

  test('is counted over all parts of the list, and shows what fails', async () => {
    const { files, id } = await fileScene(lab);
    await lab.attest(id);
    files.use('/usr/bin/date', 'date');
    await lab.attest(id);
    const counted = await readNodeFiles(database().db, id);
    expect(counted.judged).toMatchObject({ entries: 3, counts: { allowed: 2, refused: 0 } });
    expect(counted.last).toMatchObject({ outcome: 'pass', failing: [] });
    files.use('/usr/local/bin/evil', 'evil');
    await lab.attest(id);
    const { last } = await readNodeFiles(database().db, id);
    expect(last).toMatchObject({
      outcome: 'fail',
      list: { complete: true, violations: 0 },
      failing: [{ rule: 'ima.digest', file: { path: '/usr/local/bin/evil', entry: 3 } }],
    });
    expect(Object.keys(last?.list?.templates ?? {})).toEqual(['ima-ng']);
  });

  test('ima.digest: an unknown file fails it by its path, and bans it', async () => {
    const { files, id } = await fileScene(lab);
    await lab.attest(id);
    files.use('/usr/local/bin/evil', 'evil');
    const verdict = await lab.attest(id);
    expect(verdict?.outcome).toBe('fail');
    expect(verdict?.reasons[0]).toMatchObject({ rule: 'ima.digest' });
    expect(verdict?.reasons[0]?.message).toMatch(
      /^\/usr\/local\/bin\/evil is sha256:.*does not know this path$/,
    );
    expect(await lab.trust(id)).toMatchObject({ state: 'banned' });
  });

  test('goes on where it was when another verifier takes over', async () => {
    const { files, id, verifier, asked } = await fileScene(lab);
    await lab.attest(id);
    await verifier.close();
    files.use('/usr/bin/date', 'date');
    await lab.verifier();
    expect((await lab.attest(id))?.outcome).toBe('pass');
    expect(asked.at(-1)).toBe(2);
  });

  test('is judged from the beginning after a reboot', async () => {
    const { agent, files, id, asked } = await fileScene(lab);
    files.use('/usr/bin/date', 'date');
    await lab.attest(id);
    agent.tpm.reset();
    agent.files = MeasuredFiles.of(agent.tpm);
    agent.files.use('/usr/bin/ls', 'ls');
    agent.files.use('/usr/bin/date', 'date');
    agent.files.use('/usr/bin/date', 'date');
    expect((await lab.attest(id))?.outcome).toBe('pass');
    // The first answer began at an entry of the boot before.
    expect(asked.slice(-2)).toEqual([3, 0]);
    expect(await lab.events(id)).toContain('rebooted');
  });

  test('is judged from the beginning under another version of the policy', async () => {
    const { id, asked } = await fileScene(lab);
    await lab.attest(id);
    const before = asked.length;
    await addFilePolicy(
      lab.database,
      await storedSet(lab.database, { '/usr/bin/ls': 'ls', '/usr/bin/cat': 'cat' }),
    );
    await until('it is asked', () => asked.length > before);
    expect(asked[before]).toBe(0);
    expect((await lab.attest(id))?.outcome).toBe('pass');
  });

  test('ima.prefix: a list from which an entry was taken fails', async () => {
    const { agent, files, id } = await fileScene(lab);
    files.use('/usr/local/bin/evil', 'evil');
    agent.answer = (query) => {
      const answer = agent.honest(query);
      const lines = JSON.parse(answer.body);
      lines.results.ima_measurement_list = lines.results.ima_measurement_list.replace(/.*evil\n/, '');
      return { status: 200, body: JSON.stringify(lines) };
    };
    const verdict = await lab.attest(id);
    expect(verdict?.reasons.map(({ rule }) => rule)).toEqual(['ima.prefix']);
  });

  test('ima.prefix: entries that came after the quote wait for the next one', async () => {
    const { agent, files, id } = await fileScene(lab);
    await lab.attest(id);
    // No poll that was under way comes between.
    let seen = -1;
    await until('polls are over', async () => {
      await setTimeout(200);
      const isQuiet = agent.quotes === seen;
      seen = agent.quotes;
      return isQuiet;
    });
    agent.answer = (query) => {
      const quote = agent.quote(query);
      files.use('/usr/local/bin/evil', 'evil');
      const { text, firstEntry } = files.from(query.imaEntry ?? 0);
      const results = { quote, ima_measurement_list: text, ima_measurement_list_entry: firstEntry };
      return { status: 200, body: JSON.stringify({ code: 200, status: 'Success', results }) };
    };
    expect((await lab.attest(id))?.outcome).toBe('pass');
    agent.answer = (query) => agent.honest(query);
    expect((await lab.attest(id))?.outcome).toBe('fail');
  });

  test('ima.required: no list is a failure, never a pass', async () => {
    const { agent, id } = await fileScene(lab);
    agent.files = undefined;
    expect((await lab.attest(id))?.reasons.map(({ rule }) => rule)).toEqual(['ima.required']);
  });

  test('ima.bytes: a list that is none is a failure', async () => {
    const { agent, id } = await fileScene(lab);
    agent.answer = (query) => {
      const answer = JSON.parse(agent.honest(query).body);
      answer.results.ima_measurement_list = '10 zz ima-ng sha256:00 /x\n';
      return { status: 200, body: JSON.stringify(answer) };
    };
    expect((await lab.attest(id))?.reasons.map(({ rule }) => rule)).toEqual(['ima.bytes']);
  });

  test('ima.bytes: an entry whose own hash is not that of its data is a failure', async () => {
    const { agent, id } = await fileScene(lab);
    agent.answer = (query) => {
      const answer = JSON.parse(agent.honest(query).body);
      const { ima_measurement_list: list } = answer.results;
      answer.results.ima_measurement_list = list.replace(/^10 [0-9a-f]{4}/m, '10 0000');
      return { status: 200, body: JSON.stringify(answer) };
    };
    const verdict = await lab.attest(id);
    expect(verdict?.reasons.map(({ rule }) => rule)).toEqual(['ima.bytes']);
    expect(verdict?.reasons[0]?.message).toMatch(/^entry 0 shows a template hash/);
  });

  test('ima.required: an empty list that fits an untouched PCR 10 is no list', async () => {
    const agent = await lab.agent();
    agent.answer = (query) => {
      const results = { quote: agent.quote(query), ima_measurement_list: '', ima_measurement_list_entry: 0 };
      return { status: 200, body: JSON.stringify({ code: 200, status: 'Success', results }) };
    };
    await addFilePolicy(lab.database, await storedSet(lab.database, { '/usr/bin/ls': 'ls' }));
    const { id } = await lab.node(agent);
    await lab.verifier();
    expect((await lab.attest(id))?.reasons.map(({ rule }) => rule)).toEqual(['ima.required']);
  });

  test('ima.aggregate: the list of a boot with other PCRs fails', async () => {
    const { agent, id } = await fileScene(lab, {}, (tpm) => tpm.extend(4, hash('sha256', 'later', 'buffer')));
    expect((await lab.attest(id))?.reasons.map(({ rule }) => rule)).toEqual(['ima.aggregate']);
    expect(agent.quotes).toBeGreaterThan(0);
  });
});

test('policy.missing: a set that is not stored decides nothing', async () => {
  const { id } = await fileScene(lab);
  await lab.attest(id);
  await addFilePolicy(lab.database, `sha256:${'0'.repeat(64)}`);
  await until('nothing is decided', async () => (await lab.trust(id)).rules.includes('policy.missing'));
  expect(await lab.trust(id)).toMatchObject({ outcome: 'inconclusive', epoch: 0 });
});
