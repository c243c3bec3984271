import { expect } from 'vitest';
import type { VerdictRecord } from '../../../core/messages/node.ts';
import { until } from './until.ts';
import type { World } from './world.ts';

/**
 * A node whose evidence was refused: the verdict with its reason and evidence is on record, trust has ended once,
 * every certificate it ever had is on the CRL, and its ban is wanted.
 */
export async function expectBanned(world: World, nodeId: string, rule: string): Promise<void> {
  const detail = await world.untilState(nodeId, 'banned');
  expect(detail).toMatchObject({
    outcome: 'fail',
    epoch: 1,
    trustedUntil: null,
    changedBy: expect.stringMatching(/^(verifier|policy:.+@\d+)$/),
  });
  expect(detail.reasons.map((reason) => reason.rule)).toContain(rule);
  const path = `/v1/nodes/${nodeId}/verdicts`;
  const { verdicts } = await world.api.get<{ verdicts: VerdictRecord[] }>('verifier', path);
  const fails = verdicts.filter(({ outcome }) => outcome === 'fail');
  expect(fails.map(({ reasons }) => reasons.map((reason) => reason.rule))).toEqual([
    detail.reasons.map((reason) => reason.rule),
  ]);
  expect(await world.api.get('verifier', `/v1/verdicts/${fails[0]?.id}/evidence`)).toBeTruthy();
  await until('the ban is wanted', async () => (await world.ban(nodeId))?.wanted === true, 10_000);
  await expectAllRevoked(world, nodeId);
}

/** What it was given, revoked; there must have been something. */
export async function expectAllRevoked(world: World, nodeId: string): Promise<void> {
  const certificates = await world.certificates(nodeId);
  expect(certificates.length, 'certificates that were issued').toBeGreaterThan(0);
  expect(certificates.filter(({ revoked }) => !revoked)).toEqual([]);
  const isListed = async () => {
    const crl = await world.crl();
    return certificates.every(({ serial }) => crl.has(serial));
  };
  await until('its certificates are on the CRL', isListed, 10_000);
}

/** An attempt to get a certificate was refused for this reason, and nothing was recorded for it. */
export async function expectRefused(
  world: World,
  nodeId: string,
  attempt: () => Promise<unknown>,
  rule: string,
): Promise<void> {
  const before = await world.certificates(nodeId);
  await expect(attempt()).rejects.toMatchObject({ code: 'not-trusted', details: [{ rule }] });
  expect(await world.certificates(nodeId)).toEqual(before);
}
