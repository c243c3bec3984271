import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { AttestationKey, createAk } from '../../../agent/tpm/attestation-key.ts';
import { EMPTY_AUTH } from '../../../agent/tpm/command.ts';
import { getHandles, getTpmProperties, HANDLE_RANGE } from '../../../agent/tpm/commands/capability.ts';
import { readClock } from '../../../agent/tpm/commands/clock.ts';
import { createPrimary } from '../../../agent/tpm/commands/object.ts';
import { startPolicySession } from '../../../agent/tpm/commands/session.ts';
import { getRandom } from '../../../agent/tpm/commands/startup.ts';
import { findEndorsementKey } from '../../../agent/tpm/endorsement.ts';
import { Quoter } from '../../../agent/tpm/quote.ts';
import { Tpm } from '../../../agent/tpm/tpm.ts';
import { openTransport } from '../../../agent/tpm/transport/open.ts';
import { AK_TEMPLATES } from '../../../core/tpm/attestation-key.ts';
import { TPM_RH } from '../../../core/tpm/constants.ts';
import { EK_TEMPLATES } from '../../../core/tpm/endorsement-key.ts';
import { marshalTpm2bPublic } from '../../../core/tpm/public.ts';
import { appraiseQuote } from '../../../core/tpm/quote.ts';
import { startSwtpm } from '../../../tpm-sim/swtpm/process.ts';
import { TpmLab } from '../support/tpm-lab.ts';

const ECC_EK = marshalTpm2bPublic(EK_TEMPLATES['L-2']);

let lab: TpmLab;
beforeAll(async () => {
  lab = await TpmLab.open(['sha256']);
});
afterEach(() => lab.stopAll());
afterAll(() => lab.close());

async function makeQuoter(tpm: Tpm) {
  const ek = await findEndorsementKey(tpm);
  const ak = new AttestationKey(tpm, ek, await createAk(tpm, ek, 'ecc256'));
  const quoter = new Quoter(ak);
  return async (): Promise<boolean> => {
    const nonce = randomBytes(20);
    const { pcrValues, ...signed } = await quoter.quote({ nonce, bank: 'sha256', pcrs: [0, 8] });
    const selection = { bank: 'sha256', pcrs: [0, 8] } as const;
    const values = new Map([['sha256' as const, pcrValues]]);
    return appraiseQuote({ akPublic: ak.public, nonce, selection, pcrValues: values, ...signed }).ok;
  };
}

describe('a TPM that goes away', () => {
  test('in the middle of a command is an error that says so, and then it is found again', async () => {
    const { tpm, swtpm, state } = await lab.start();
    const quote = await makeQuoter(tpm);
    // RSA key generation takes long enough to be interrupted.
    const template = marshalTpm2bPublic(EK_TEMPLATES['H-6']);
    const slow = tpm.use((channel) => createPrimary(channel, TPM_RH.ENDORSEMENT, template));
    setTimeout(() => void swtpm.kill(), 30);
    await expect(slow).rejects.toThrow(/went away after 0 bytes of its response/);
    await swtpm.kill();
    const again = await startSwtpm(state, { transport: 'unix' });
    expect(again.address).toBe(swtpm.address);
    expect(await quote()).toBe(true);
    await again.kill();
  });

  test('and stays away is an error within the time for connecting', async () => {
    const { tpm, swtpm } = await lab.start({ transport: 'tcp' }, { connectTimeoutMs: 100 });
    await tpm.use((channel) => getRandom(channel, 8));
    await swtpm.kill();
    await expect(tpm.use((channel) => getRandom(channel, 8))).rejects.toThrow(
      /cannot reach swtpm:tcp:127.0.0.1/,
    );
  });

  test('for a reboot under a client that keeps its connection is started again by that client', async () => {
    const { tpm, swtpm } = await lab.start({ transport: 'unix' }, { idleMs: 60_000 });
    const quote = await makeQuoter(tpm);
    expect(await quote()).toBe(true);
    const before = await tpm.use(readClock);
    await swtpm.reset();
    expect(await quote()).toBe(true);
    const after = await tpm.use(readClock);
    expect(after.resetCount).toBe(before.resetCount + 1);
    expect(tpm.generation).toBe(1);
  });

  test('is not waited for longer than a response may take when another program holds it', async () => {
    const { swtpm } = await lab.start();
    const path = swtpm.address.replace('swtpm:unix:', '');
    const holder = connect({ path });
    await new Promise((done) => holder.once('connect', done));
    await sleep(20);
    const transport = await openTransport(swtpm.address, { responseTimeoutMs: 150 });
    const blocked = new Tpm({ transport });
    await expect(blocked.use((channel) => getRandom(channel, 8))).rejects.toThrow(
      /no whole response in 150 ms; another program may hold/,
    );
    holder.destroy();
    await sleep(20);
    expect(await blocked.use((channel) => getRandom(channel, 8))).toHaveLength(8);
    await blocked.close();
  });
});

describe('what a TPM has room for', () => {
  const held = (tpm: Tpm) =>
    tpm.use(async (channel) => [
      ...(await getHandles(channel, HANDLE_RANGE.transient)),
      ...(await getHandles(channel, HANDLE_RANGE.loadedSessions)),
    ]);

  test('is given back by work that fails half way', async () => {
    const { tpm } = await lab.start();
    for (let round = 0; round < 5; round += 1) {
      const work = tpm.use(async (channel) => {
        await createPrimary(channel, TPM_RH.ENDORSEMENT, ECC_EK, EMPTY_AUTH);
        await startPolicySession(channel, 'sha256');
        throw new Error('on purpose');
      });
      await expect(work).rejects.toThrow('on purpose');
    }
    expect(await held(tpm)).toEqual([]);
  });

  test('is cleaned of what a program left that was killed', async () => {
    const { swtpm } = await lab.start();
    const killed = new Tpm({ transport: await openTransport(swtpm.address, { idleMs: 1 }) });
    await killed.use(async (channel) => {
      for (let slot = 0; slot < 3; slot += 1) {
        channel.keep((await createPrimary(channel, TPM_RH.ENDORSEMENT, ECC_EK)).handle);
      }
    });
    expect(await held(killed)).toHaveLength(3);
    const next = new Tpm({ transport: await openTransport(swtpm.address, { idleMs: 1 }) });
    const quote = await makeQuoter(next);
    expect(await quote()).toBe(true);
    expect(await held(next)).toHaveLength(1);
    await next.close();
  });

  test('is known by its handles: a kept key is loaded again when the TPM lost it behind our back', async () => {
    const { tpm, swtpm } = await lab.start();
    const quote = await makeQuoter(tpm);
    await swtpm.reset();
    // Takes the slot, and so the handle, that the AK had before the reset.
    await tpm.use((channel) => createPrimary(channel, TPM_RH.ENDORSEMENT, ECC_EK));
    expect(await quote()).toBe(true);
    expect(await held(tpm)).toHaveLength(1);
  });
});

describe('simple commands', () => {
  test('work done at the same time is done one after the other', async () => {
    const { tpm } = await lab.start();
    const sizes = Array.from({ length: 12 }, (_, index) => index * 7);
    const results = await Promise.all(sizes.map((size) => tpm.use((channel) => getRandom(channel, size))));
    expect(results.map((bytes) => bytes.length)).toEqual(sizes);
  });

  test('a refusal names the command, the reason and the parameter', async () => {
    const { tpm } = await lab.start();
    const template = marshalTpm2bPublic(AK_TEMPLATES.ecc256);
    const work = tpm.use((channel) => createPrimary(channel, 0x40000005, template));
    await expect(work).rejects.toThrow(
      /^TPM2_CreatePrimary was refused: TPM_RC_VALUE for handle 1 \(0x184\)$/,
    );
  });

  test('a software TPM says who made it', async () => {
    const { tpm } = await lab.start();
    const properties = await tpm.use(getTpmProperties);
    expect(properties).toMatchObject({ manufacturer: 'IBM', vendorString: 'SW   TPM' });
    expect(properties.firmwareVersion).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
    expect(properties.nvBufferMaxBytes).toBeGreaterThanOrEqual(1024);
  });
});
