import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { QuoteResult } from '../../agent/keylime/quotes.ts';
import { expectBanned, expectRefused } from './support/checks.ts';
import type { SwtpmNode } from './support/node.ts';
import { useWorld } from './support/world.ts';

const world = useWorld();

/** A node that was trusted is caught: banned for this rule, its material gone, nothing new for it. */
async function expectCaught(node: SwtpmNode, rule: string): Promise<void> {
  await expectBanned(world(), node.id, rule);
  await node.events.until('destroyed');
  expect(existsSync(node.material)).toBe(false);
  await expectRefused(world(), node.id, () => node.askCertificate(), 'node.banned');
}

test('quote.nonce: an agent that answers with a quote it gave before', async () => {
  const node = await world().node('replay');
  let recorded: QuoteResult | undefined;
  let replayed = 0;
  let replaying = false;
  node.mischief.quote = async (tpm, request) => {
    if (replaying && recorded) {
      replayed += 1;
      return recorded;
    }
    recorded = await tpm.quote(request);
    return recorded;
  };
  await node.start({ token: await world().token() });
  await node.events.until('material-written');
  expect((await world().detail(node.id)).state).toBe('trusted');
  replaying = true;
  await expectCaught(node, 'quote.nonce');
  expect(replayed).toBe(1);
});

test('quote.selection: a quote without a PCR that the policy requires', async () => {
  const node = await world().trustedNode('fewer-pcrs');
  node.mischief.quote = async (tpm, request) => {
    const quote = await tpm.quote({ ...request, pcrs: request.pcrs.filter((pcr) => pcr !== 7) });
    // What it did not let the TPM sign it says by itself.
    return { ...quote, pcrValues: new Map([...quote.pcrValues, [7, new Uint8Array(32)]]) };
  };
  await expectCaught(node, 'quote.selection');
});

test('quote.selection: a quote of one PCR in place of another', async () => {
  const node = await world().trustedNode('other-pcr');
  node.mischief.quote = async (tpm, request) => {
    const pcrs = request.pcrs.map((pcr) => (pcr === 7 ? 23 : pcr));
    const quote = await tpm.quote({ ...request, pcrs });
    return { ...quote, pcrValues: new Map([...quote.pcrValues, [7, new Uint8Array(32)]]) };
  };
  await expectCaught(node, 'quote.selection');
});

test('quote.bank: a quote of another bank of the same TPM', async () => {
  const node = await world().node('other-bank', ['sha256', 'sha384']);
  await node.start({ token: await world().token() });
  await node.events.until('material-written');
  await node.stop();
  await node.start({ pcrBank: 'sha384' });
  await node.events.until('quoted');
  await expectCaught(node, 'quote.bank');
});
