import { generateKeyPairSync, hash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EV, eventDigest, parseEventLog } from '../../../core/eventlog/index.ts';
import type { SoftwareTpm } from '../../../tpm-sim/fleet/software-tpm.ts';
import { draftPolicy, logsOf } from '../../../verifier/domain/draft.ts';
import { readNodeBoot } from '../../../verifier/node-measurements.ts';
import { readBootLog, removeOldBootLogs } from '../../../verifier/store/boot-logs.ts';
import { addPolicy, assignPolicy } from '../../../verifier/store/policies.ts';
import { readLastEvidence } from '../../../verifier/store/verdicts.ts';
import type { FakeAgent } from '../../fakes/keylime-agent.ts';
import { useDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { emptyTables, Lab } from './lab.ts';

const database = useDatabase();
let lab: Lab;
/** Requests that agents got. */
let asked: string[];

beforeEach(async () => {
  await emptyTables(database());
  await database().pool.query('TRUNCATE boot_log');
  lab = new Lab(database());
  asked = [];
});
afterEach(() => lab.close());

describe.each(['assay', 'keylime'] as const)(
  'a node of protocol %s whose policy judges the boot',
  (protocol) => {
    test('passes with the log of a real boot, and its log is kept once', async () => {
      const { id } = await scene(protocol, 'sb-clean-1');
      expect((await lab.attest(id))?.outcome).toBe('pass');
      expect((await lab.attest(id))?.outcome).toBe('pass');
      const { rows } = await database().pool.query('SELECT sha256, bytes FROM boot_log');
      expect(rows).toEqual([
        { sha256: hash('sha256', logOf('sb-clean-1')), bytes: Buffer.from(logOf('sb-clean-1')) },
      ]);
      const { rows: kept } = await database().pool.query('SELECT evidence FROM last_evidence');
      expect(kept).toMatchObject([{ evidence: { boot: { firmware: rows[0]?.sha256 } } }]);
    });

    test('boot.command-line: another boot fails by its event, and is banned', async () => {
      const { id } = await scene(protocol, 'sb-cmdline-changed');
      const verdict = await lab.attest(id);
      expect(verdict?.outcome).toBe('fail');
      expect(verdict?.reasons[0]).toMatchObject({
        ...{ rule: 'boot.command-line', pcr: 8 },
        message: expect.stringContaining('"lab.debug=1", which the policy forbids'),
      });
      expect(await lab.trust(id)).toMatchObject({ state: 'banned' });
    });

    test('log.replay: the log of another boot does not explain the registers', async () => {
      const { agent, id } = await scene(protocol, 'sb-cmdline-changed');
      agent.boot = logOf('sb-clean-1');
      expect((await lab.attest(id))?.reasons.map(({ rule, pcr }) => `${rule}/${pcr}`)).toEqual([
        'log.replay/8',
        'log.replay/9',
      ]);
    });

    test('log.missing: no log is a failure, never a pass', async () => {
      const { agent, id } = await scene(protocol, 'sb-clean-1');
      agent.boot = undefined;
      expect((await lab.attest(id))?.reasons.map(({ rule }) => rule)).toEqual(['log.missing']);
    });
  },
);

describe('a log that is known', () => {
  test('is not sent again, until the node boots another way', async () => {
    const { agent, id } = await scene('assay', 'sb-clean-1');
    await lab.attest(id);
    await lab.attest(id);
    const known = `&boot=${hash('sha256', logOf('sb-clean-1'))}&userspace=all`;
    expect(asked.at(-1)).toContain(known);
    agent.tpm.reset();
    boot(agent.tpm, 'sb-cmdline-changed');
    agent.boot = logOf('sb-cmdline-changed');
    expect((await lab.attest(id))?.reasons[0]).toMatchObject({ rule: 'boot.command-line' });
  });

  test('log.again: one that is said to be the same under other registers is asked for whole', async () => {
    const { agent, id } = await scene('assay', 'sb-clean-1');
    await lab.attest(id);
    agent.tpm.extend(4, hash('sha256', 'later', 'buffer'));
    expect((await lab.attest(id))?.reasons.map(({ rule, pcr }) => `${rule}/${pcr}`)).toEqual([
      'log.replay/4',
    ]);
    expect(asked.at(-1)).toContain('&boot=all&userspace=all');
  });

  test('is judged again under another version of the policy', async () => {
    const { id } = await scene('assay', 'sb-clean-1');
    await lab.attest(id);
    await assign('boot', bootPolicy('ima_policy=*'));
    await until('it is banned', async () => (await lab.trust(id)).state === 'banned');
    const rules = (await lab.trust(id)).rules.filter((rule) => rule !== 'evidence.kept');
    expect(rules).toEqual(['boot.command-line', 'boot.command-line']);
  });

  test('evidence.kept: another policy fails a node that is away by the log that is kept', async () => {
    const { agent, id } = await scene('assay', 'sb-clean-1');
    expect((await lab.attest(id))?.outcome).toBe('pass');
    await agent.close();
    await assign('boot', bootPolicy('ima_policy=*'));
    await until('it is banned', async () => (await lab.trust(id)).state === 'banned');
    expect((await lab.trust(id)).rules).toEqual(['boot.command-line', 'boot.command-line', 'evidence.kept']);
  });

  test('api.limits: a node that sends another log each time fills nothing', async () => {
    const { agent, id } = await scene('assay', 'sb-clean-1', BASELINE);
    for (let round = 0; round < 25; round += 1) {
      agent.boot = Buffer.concat([logOf('sb-clean-1'), Buffer.alloc(round)]);
      expect((await lab.attest(id))?.outcome).toBe('pass');
    }
    const { rows } = await database().pool.query('SELECT count(*)::int AS logs FROM boot_log');
    expect(rows).toEqual([{ logs: 20 }]);
  });

  test('is deleted when no evidence can name it any more', async () => {
    const { id } = await scene('assay', 'sb-clean-1');
    await lab.attest(id);
    const DAY_MS = 24 * 3_600_000;
    expect(await removeOldBootLogs(database(), 90 * DAY_MS)).toBe(0);
    await database().pool.query("UPDATE boot_log SET seen_at = now() - interval '92 days'");
    expect(await removeOldBootLogs(database(), 90 * DAY_MS)).toBe(1);
  });
});

function newPayloadKey(): string {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return String(publicKey.export({ type: 'spki', format: 'pem' }));
}

function logOf(name: string): Uint8Array {
  return new Uint8Array(
    readFileSync(new URL(`../../vectors/eventlog/${name}/binary_bios_measurements`, import.meta.url)),
  );
}

/** What a firmware does: extends all that it writes down. */
function boot(tpm: SoftwareTpm, name: string): void {
  for (const event of parseEventLog(logOf(name)).events) {
    const digest = eventDigest(event, 'sha256');
    if (event.type !== EV.NO_ACTION && digest) tpm.extend(event.pcr, digest);
  }
}

async function scene(
  protocol: 'assay' | 'keylime',
  name: string,
  document = bootPolicy('lab.debug=*'),
): Promise<{ agent: FakeAgent; id: string }> {
  const agent = await lab.agent(protocol === 'keylime' ? { payloadKey: newPayloadKey() } : {});
  boot(agent.tpm, name);
  agent.boot = logOf(name);
  const honest = agent.answer;
  agent.answer = (query) => {
    asked.push(query.url ?? '');
    return honest(query);
  };
  await assign('boot', document);
  const { id } = await lab.node(agent, { protocol });
  await lab.verifier();
  return { agent, id };
}

function bootPolicy(forbidden: string): string {
  return `assay: policy/v1
name: boot
freshness: { interval: 60s, trust-for: 5m }
reaction: ban
pcrs: { bank: sha256, require: 0-9 }
boot:
  profile: shim-grub
  applications: signed
  files: any
  command-line: { forbid: ['${forbidden}'] }
`;
}

const BASELINE = `assay: policy/v1
name: boot
freshness: { interval: 60s, trust-for: 5m }
reaction: ban
pcrs: { bank: sha256, require: '0-9, 14' }
`;

async function assign(name: string, document: string): Promise<void> {
  await database().transaction(async (tx) => {
    await addPolicy(tx, { name, document }, 'test');
    await assignPolicy(tx, { subject: 'default', policy: name }, 'test');
  });
}

describe('the boot of a node, for people', () => {
  test('has each register with the events that explain it', async () => {
    const { id } = await scene('assay', 'sb-clean-1');
    await lab.attest(id);
    const { outcome, bank, pcrs, firmware, problems } = await readNodeBoot(database().db, id);
    expect({ outcome, bank, problems }).toEqual({ outcome: 'pass', bank: 'sha256', problems: [] });
    const seven = pcrs.find(({ pcr }) => pcr === 7);
    expect(seven).toMatchObject({ status: 'replays', rules: [] });
    const events = (seven?.events ?? []).map(({ index }) => firmware?.events[index]);
    expect(new Set(events.map((event) => event?.register))).toEqual(new Set(['PCR 7']));
    expect(pcrs.find(({ pcr }) => pcr === 16)?.status).toBe('channel-key');
  });

  test('is that of a fail since, with the rules that each event breaks', async () => {
    const { id } = await scene('assay', 'sb-cmdline-changed');
    await lab.attest(id);
    const { outcome, pcrs, firmware } = await readNodeBoot(database().db, id);
    expect(outcome).toBe('fail');
    expect(pcrs.find(({ pcr }) => pcr === 8)?.rules).toEqual(['boot.command-line']);
    const broken = firmware?.events.filter(({ rules }) => rules.length > 0) ?? [];
    expect(broken.map(({ says }) => says)).toEqual([
      expect.stringContaining('lab.debug=1'),
      expect.stringContaining('lab.debug=1'),
    ]);
  });

  test('names registers that nothing explains', async () => {
    const { agent, id } = await scene('assay', 'sb-cmdline-changed');
    agent.boot = logOf('sb-clean-1');
    await lab.attest(id);
    const { pcrs } = await readNodeBoot(database().db, id);
    const unexplained = pcrs.filter(({ status }) => status === 'unexplained').map(({ pcr }) => pcr);
    expect(unexplained).toEqual([8, 9]);
  });

  test('that was never judged is not found', async () => {
    await expect(readNodeBoot(database().db, randomUUID())).rejects.toThrow(/no evidence is kept/);
  });
});

describe('a draft', () => {
  test('that judges the boot is made from a node under any policy, and is met by it', async () => {
    const { id } = await scene('assay', 'sb-clean-1', BASELINE);
    expect((await lab.attest(id))?.outcome).toBe('pass');
    const last = await readLastEvidence(database().db, id);
    if (!last) throw new Error('no evidence');
    const firmware = await readBootLog(database().db, logsOf(last).firmware ?? '');
    const document = draftPolicy('drafted', last, { profile: 'shim-grub', firmware, userspace: undefined });
    await assign('drafted', document);
    expect((await lab.attest(id))?.outcome).toBe('pass');
  });
});
