import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { equalBytes } from '../../../core/bytes/encoding.ts';
import { appraise, type Evidence } from '../../../policies/appraise.ts';
import { SoftwareTpm } from '../../../tpm-sim/fleet/software-tpm.ts';
import { attestOnce } from '../../../verifier/attest-once.ts';
import { banNode, unbanNode } from '../../../verifier/store/bans.ts';
import { success } from '../../fakes/keylime-agent.ts';
import { useDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { emptyTables, Lab } from './lab.ts';

const database = useDatabase();
let lab: Lab;

beforeEach(async () => {
  await emptyTables(database());
  lab = new Lab(database());
});
afterEach(() => lab.close());

const BAD = 'ab'.repeat(32);
const rulesOf = (verdict: { reasons: readonly { rule: string }[] } | undefined) =>
  verdict?.reasons.map(({ rule }) => rule);

describe('a rule of the policy that fails', () => {
  test('ban: trust ends, polling ends, the agent is told, a person lifts it', async () => {
    await lab.policy();
    const { id, agent } = await lab.node();
    await lab.verifier();
    expect((await lab.attest(id))?.outcome).toBe('pass');
    await lab.policy({ values: { 1: BAD } });
    await until('the ban', async () => (await lab.trust(id)).standing === 'banned');
    await until('the notice', () => agent.notices.length === 1);
    const { msg } = JSON.parse(agent.notices[0] ?? '');
    const notice = JSON.parse(msg);
    expect(notice).toMatchObject({ type: 'revocation', node_id: id });
    expect(notice.reasons[0]).toMatchObject({ rule: 'pcr.value', pcr: 1 });
    const asked = agent.quotes;
    await expect(attestOnce(database(), id, 5000)).rejects.toThrow(/is banned/);
    await lab.policy({});
    await sleep(300);
    expect(agent.quotes).toBe(asked);
    await database().transaction((tx) => unbanNode(tx, { nodeId: id, reason: 'fixed', actor: 'admin:ann' }));
    await until('trust again', () => lab.isTrusted(id));
    expect(await lab.trust(id)).toMatchObject({ epoch: 1 });
    expect(await lab.events(id)).toEqual(['trusted', 'banned', 'unbanned', 'trusted']);
  });

  test('stop: trust ends once for fails in a row, and comes back with the next pass', async () => {
    await lab.policy({ reaction: 'stop' });
    const { id, agent } = await lab.node();
    await lab.verifier();
    await lab.attest(id);
    agent.tpm.extend(2, new Uint8Array(32));
    await lab.policy({ reaction: 'stop', values: { 2: '00'.repeat(32) } });
    await until('the fail', async () => (await lab.trust(id)).standing === 'failed');
    expect(rulesOf(await lab.attest(id))).toEqual(['pcr.value']);
    expect(await lab.trust(id)).toMatchObject({ epoch: 1, state: 'failed' });
    agent.tpm.reset();
    expect((await lab.attest(id))?.outcome).toBe('pass');
    expect(await lab.trust(id)).toMatchObject({ epoch: 1, state: 'trusted' });
    expect(await lab.events(id)).toEqual(['trusted', 'failed', 'trusted', 'rebooted']);
  });

  test('report: the verdict is kept and trust goes on', async () => {
    await lab.policy({ reaction: 'report', values: { 1: BAD } });
    const { id } = await lab.node();
    await lab.verifier();
    expect(rulesOf(await lab.attest(id))).toEqual(['pcr.value']);
    await lab.attest(id);
    expect(await lab.trust(id)).toMatchObject({ epoch: 0, outcome: 'fail', state: 'trusted', passes: '0' });
    expect(await lab.events(id)).toEqual(['trusted', 'reported']);
    expect((await lab.verdicts(id)).map(({ outcome }) => outcome)).toEqual(['fail']);
  });

  test('report: broken evidence ends trust all the same', async () => {
    await lab.policy({ reaction: 'report' });
    const { id, agent } = await lab.node();
    await lab.verifier();
    await lab.attest(id);
    agent.answer = ({ pcrs }) => success({ quote: agent.quote({ nonce: 'other', pcrs }) });
    expect(rulesOf(await lab.attest(id))).toEqual(['quote.nonce']);
    expect(await lab.trust(id)).toMatchObject({ epoch: 1, state: 'failed' });
  });
});

describe('the clock of the TPM', () => {
  test('quote.clock: a reboot is not tampering', async () => {
    await lab.policy();
    const { id, agent } = await lab.node();
    await lab.verifier();
    await lab.attest(id);
    agent.tpm.reset();
    expect((await lab.attest(id))?.outcome).toBe('pass');
    expect(await lab.events(id)).toEqual(['trusted', 'rebooted']);
  });

  test('quote.clock: a copy of an earlier state is refused, also by the next verifier', async () => {
    await lab.policy({ reaction: 'stop' });
    const { id, agent } = await lab.node();
    const early = agent.tpm.copyState();
    agent.tpm.reset();
    const first = await lab.verifier();
    expect((await lab.attest(id))?.outcome).toBe('pass');
    await first.close();
    const copy = new SoftwareTpm(() => performance.now(), { ...early, resetCount: early.resetCount - 1 });
    const agentCopy = await lab.agent({ tls: agent.tls, tpm: copy });
    agent.answer = (query) => agentCopy.honest(query);
    await lab.verifier();
    expect(rulesOf(await lab.attest(id))).toEqual(['quote.clock']);
    // What the refused quote said is not what the next one is compared with.
    expect(rulesOf(await lab.attest(id))).toEqual(['quote.clock']);
    expect(await lab.trust(id)).toMatchObject({ state: 'failed' });
    // Unless a person says that it may begin again, as after a TPM was cleared.
    await database().transaction((tx) =>
      unbanNode(tx, { nodeId: id, reason: 'cleared', actor: 'admin:ann' }),
    );
    await until('trust from a new beginning', () => lab.isTrusted(id));
  });
});

describe('what cannot be decided', () => {
  const answers: readonly [rule: string, name: string, status: number, body: string][] = [
    ['node.answer', 'an error status', 500, '{}'],
    ['node.answer', 'something else than JSON', 200, '<html>'],
    ['node.answer', 'JSON without a quote', 200, '{"code":200,"results":{}}'],
    ['node.answer', 'a quote that is no text', 200, '{"results":{"quote":7}}'],
    ['node.answer', 'more than the limit', 200, `"${'x'.repeat(70_000)}"`],
  ];
  for (const [rule, name, status, body] of answers) {
    test(`${rule}: ${name} is inconclusive and prolongs nothing`, async () => {
      await lab.policy();
      const { id, agent } = await lab.node();
      await lab.verifier({ 'max-answer-bytes': 65_536 });
      await lab.attest(id);
      agent.answer = () => ({ status, body });
      // A poll that was under way may still have got a quote.
      await until('it is inconclusive', async () => rulesOf(await lab.attest(id))?.includes(rule) ?? false);
      const before = await trustedUntil(id);
      expect(rulesOf(await lab.attest(id))).toEqual([rule]);
      expect(await trustedUntil(id)).toBe(before);
      expect(await lab.trust(id)).toMatchObject({ epoch: 0, outcome: 'inconclusive', state: 'trusted' });
      expect(await lab.events(id)).toEqual(['trusted', 'inconclusive']);
    });
  }

  test('api.dial: an address outside the ranges is never connected to', async () => {
    await lab.policy();
    const { id, agent } = await lab.node();
    await lab.verifier({ dial: ['10.0.0.0/8'] });
    expect(rulesOf(await lab.attest(id))).toEqual(['api.dial']);
    expect(agent.quotes).toBe(0);
  });

  test('node.identity: another certificate than the registered one is not asked', async () => {
    await lab.policy();
    const other = await lab.agent();
    const { id, agent } = await lab.node(undefined, { contact_port: other.port });
    await lab.verifier();
    expect(rulesOf(await lab.attest(id))).toEqual(['node.identity']);
    expect(agent.quotes + other.quotes).toBe(0);
  });

  test('policy.missing: without a policy nothing passes', async () => {
    const { id, agent } = await lab.node();
    await lab.verifier();
    expect(rulesOf(await lab.attest(id))).toEqual(['policy.missing']);
    expect(await lab.trust(id)).toMatchObject({ state: 'enrolled' });
    expect(agent.quotes).toBe(0);
    await lab.policy();
    await until('a pass once there is one', () => lab.isTrusted(id));
  });

  test('trust.expires: a node that is silent loses its trust by time', async () => {
    await lab.policy({ interval: '1s', trustFor: '2s' });
    const { id, agent } = await lab.node();
    await lab.verifier({ timeout: '500ms' });
    await lab.attest(id);
    await agent.close();
    await until('stale', async () => (await lab.trust(id)).state === 'stale');
    expect(await lab.trust(id)).toMatchObject({ epoch: 0, rules: ['node.unreachable'] });
  });

  test('api.total: an exception inside is a verdict, and other nodes go on', async () => {
    await lab.policy();
    const bad = await lab.node();
    const good = await lab.node();
    const isBad = ({ quote }: Evidence) =>
      quote.ok && equalBytes(quote.quote.qualifiedSigner, bad.agent.tpm.akName);
    await lab.verifier(
      {},
      {
        appraise: (policy, evidence, history) => {
          if (isBad(evidence)) throw new Error('a fault of ours');
          return appraise(policy, evidence, history);
        },
      },
    );
    expect(rulesOf(await lab.attest(bad.id))).toEqual(['internal']);
    expect((await lab.attest(good.id))?.outcome).toBe('pass');
    expect(rulesOf(await lab.attest(bad.id))).toEqual(['internal']);
    expect(await lab.trust(bad.id)).toMatchObject({ state: 'enrolled' });
  });
});

describe('people', () => {
  test('ban a node that never was judged; it never passes until the ban is lifted', async () => {
    await lab.policy();
    const { id, agent } = await lab.node();
    await database().transaction((tx) => banNode(tx, { nodeId: id, reason: 'stolen', actor: 'admin:ann' }));
    expect(await lab.trust(id)).toMatchObject({ epoch: 1, state: 'banned' });
    await lab.verifier();
    await sleep(200);
    expect(agent.quotes).toBe(0);
    await expect(
      database().transaction((tx) => banNode(tx, { nodeId: id, reason: 'again', actor: 'admin:ann' })),
    ).rejects.toThrow(/banned already/);
    const { rows } = await database().pool.query(
      "SELECT actor, act, detail->>'reason' AS reason FROM audit_log ORDER BY seq DESC LIMIT 1",
    );
    expect(rows).toEqual([{ actor: 'admin:ann', act: 'node.ban', reason: 'stolen' }]);
  });

  test('a ban comes while the node is asked: what it answers then is void', async () => {
    await lab.policy();
    const { id, agent } = await lab.node();
    await lab.verifier();
    await lab.attest(id);
    let answered = false;
    agent.answer = async (query) => {
      await database().transaction((tx) => banNode(tx, { nodeId: id, reason: 'now', actor: 'admin:ann' }));
      await sleep(200);
      answered = true;
      return agent.honest(query);
    };
    await expect(attestOnce(database(), id, 5000)).rejects.toThrow(/is banned/);
    await until('the late answer', () => answered);
    await sleep(200);
    expect(await lab.trust(id)).toMatchObject({ epoch: 1, standing: 'banned' });
  });
});

async function trustedUntil(id: string): Promise<string> {
  const { rows } = await database().pool.query<{ until: string }>(
    'SELECT trusted_until::text AS until FROM node_trust WHERE node_id = $1',
    [id],
  );
  return rows[0]?.until ?? '';
}
