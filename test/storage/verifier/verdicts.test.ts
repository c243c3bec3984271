import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseQuoteString, renderQuoteString } from '../../../core/messages/keylime/quote-string.ts';
import { SoftwareTpm } from '../../../tpm-sim/fleet/software-tpm.ts';
import { quoteString, success } from '../../fakes/keylime-agent.ts';
import { useDatabase } from '../support/database.ts';
import { emptyTables, Lab } from './lab.ts';

const database = useDatabase();
let lab: Lab;

beforeEach(async () => {
  await emptyTables(database());
  lab = new Lab(database());
});
afterEach(() => lab.close());

const ZERO = '00'.repeat(32);

describe('a node', () => {
  test('passes: trust, evidence, history and one event', async () => {
    await lab.policy({ values: { 0: ZERO } });
    const { id } = await lab.node();
    await lab.verifier();
    expect(await lab.attest(id)).toEqual({ outcome: 'pass', reasons: [] });
    expect(await lab.attest(id)).toEqual({ outcome: 'pass', reasons: [] });
    expect(await lab.trust(id)).toMatchObject({ epoch: 0, standing: 'passing', state: 'trusted', rules: [] });
    expect(await lab.events(id)).toEqual(['trusted']);
    expect(await lab.verdicts(id)).toEqual([{ outcome: 'pass', evidence: null }]);
    const { rows } = await database().pool.query(
      `SELECT evidence->>'format' AS format, t.trusted_until - t.passed_at = interval '1 minute' AS exact
       FROM last_evidence e JOIN node_trust t USING (node_id)`,
    );
    expect(rows).toEqual([{ format: 'keylime-quote/1', exact: true }]);
  });
});

describe('evidence that is refused', () => {
  const cases: readonly [
    rule: string,
    name: string,
    lie: (node: Awaited<ReturnType<Lab['node']>>) => void,
  ][] = [
    [
      'quote.nonce',
      'a replayed quote',
      ({ agent }) => {
        const old = agent.quote({ nonce: 'old', pcrs: [0, 1, 2] });
        agent.answer = () => success({ quote: old });
      },
    ],
    [
      'quote.selection',
      'a quote over other PCRs',
      ({ agent }) => {
        agent.answer = ({ nonce }) => success({ quote: agent.quote({ nonce, pcrs: [0, 1, 3] }) });
      },
    ],
    [
      'quote.selection',
      'a quote over fewer PCRs',
      ({ agent }) => {
        agent.answer = ({ nonce }) => success({ quote: agent.quote({ nonce, pcrs: [0] }) });
      },
    ],
    [
      'quote.signature',
      'a quote of another AK',
      ({ agent }) => {
        const other = new SoftwareTpm(() => performance.now());
        agent.answer = ({ nonce, pcrs }) => success({ quote: quoteString(other, nonce, [...pcrs, 16]) });
      },
    ],
    [
      'quote.signature',
      'a flipped signature',
      ({ agent }) => {
        agent.answer = (query) => {
          const parts = parseQuoteString(agent.quote(query));
          const signature = Uint8Array.from(parts.signature);
          signature[signature.length - 1] = (signature.at(-1) ?? 0) ^ 1;
          return success({ quote: renderQuoteString({ ...parts, signature }) });
        };
      },
    ],
    [
      'quote.channel',
      'PCR 16 that does not hold the TLS key',
      ({ agent }) => {
        agent.answer = ({ nonce, pcrs }) => {
          agent.tpm.bind(16, new Uint8Array(32));
          return success({ quote: quoteString(agent.tpm, nonce, [...pcrs, 16]) });
        };
      },
    ],
    [
      'quote.digest',
      'PCR values that were not quoted',
      ({ agent }) => {
        agent.answer = (query) => {
          const { attest, signature } = parseQuoteString(agent.quote(query));
          agent.tpm.extend(0, new Uint8Array(32));
          const { pcrBlob } = parseQuoteString(agent.quote(query));
          return success({ quote: renderQuoteString({ attest, signature, pcrBlob }) });
        };
      },
    ],
    [
      'bytes.known',
      'a quote that is no quote',
      ({ agent }) => {
        agent.answer = () => success({ quote: 'x\u0000\ud800' });
      },
    ],
    [
      'bytes.bounds',
      'a quote that is cut off',
      ({ agent }) => {
        agent.answer = (query) => {
          const parts = parseQuoteString(agent.quote(query));
          return success({ quote: renderQuoteString({ ...parts, attest: parts.attest.subarray(0, 40) }) });
        };
      },
    ],
  ];
  for (const [rule, name, lie] of cases) {
    test(`${rule}: ${name} ends trust, with the evidence kept`, async () => {
      await lab.policy();
      const node = await lab.node();
      await lab.verifier();
      expect((await lab.attest(node.id))?.outcome).toBe('pass');
      lie(node);
      const verdict = await lab.attest(node.id);
      expect(verdict?.outcome).toBe('fail');
      expect(verdict?.reasons.map((reason) => reason.rule)).toContain(rule);
      expect(await lab.trust(node.id)).toMatchObject({ epoch: 1, standing: 'banned', state: 'banned' });
      expect(await lab.events(node.id)).toEqual(['trusted', 'banned']);
      expect((await lab.verdicts(node.id)).at(-1)?.evidence?.quote).toBeDefined();
    });
  }
});
