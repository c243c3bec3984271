import { createHash, randomBytes, verify } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { AttestationKey, createAk } from '../../../agent/tpm/attestation-key.ts';
import { getHandles, HANDLE_RANGE } from '../../../agent/tpm/commands/capability.ts';
import { findEndorsementKey } from '../../../agent/tpm/endorsement.ts';
import { createNodeCaKey, NodeCaKey } from '../../../agent/tpm/node-ca-key.ts';
import type { Tpm } from '../../../agent/tpm/tpm.ts';
import { TpmError } from '../../../agent/tpm/tpm-error.ts';
import { checkAttestationKey } from '../../../core/tpm/attestation-key.ts';
import { appraiseCertify } from '../../../core/tpm/certify.ts';
import { TPM_CC } from '../../../core/tpm/constants.ts';
import { makeCredential } from '../../../core/tpm/credential.ts';
import { publicKeyOf } from '../../../core/tpm/key.ts';
import { computeName } from '../../../core/tpm/name.ts';
import { TpmLab } from '../support/tpm-lab.ts';

let lab: TpmLab;
beforeAll(async () => {
  lab = await TpmLab.open();
});
afterEach(() => lab.stopAll());
afterAll(() => lab.close());

function loaded(tpm: Tpm): Promise<number[][]> {
  return tpm.use(async (channel) => [
    await getHandles(channel, HANDLE_RANGE.transient),
    await getHandles(channel, HANDLE_RANGE.loadedSessions),
  ]);
}

describe('activation of a credential', () => {
  test.each([
    ['rsa2048', 'rsa2048'],
    ['rsa2048', 'ecc256'],
    ['ecc384', 'rsa2048'],
    ['ecc384', 'ecc256'],
    ['ecc256', 'ecc256'],
    ['ecc521', 'ecc256'],
    ['rsa3072', 'ecc256'],
  ] as const)('ak.activation: EK %s and AK %s give the secret back', async (ekAlgorithm, akAlgorithm) => {
    const { tpm } = await lab.start();
    const ek = await findEndorsementKey(tpm, { preference: ekAlgorithm });
    const ak = new AttestationKey(tpm, ek, await createAk(tpm, ek, akAlgorithm));
    expect(checkAttestationKey(ak.public)).toEqual([]);
    const secret = randomBytes(32);
    const objectName = computeName(ak.public);
    const credential = makeCredential({ ek: ek.public, objectName, secret, randomBytes });
    expect(Buffer.from(await ak.activate(credential))).toEqual(secret);
  });

  test('ak.activation: a credential for another key is refused, and the TPM goes on working', async () => {
    const { tpm } = await lab.start();
    const ek = await findEndorsementKey(tpm, { preference: 'ecc384' });
    const ak = new AttestationKey(tpm, ek, await createAk(tpm, ek, 'ecc256'));
    const other = new AttestationKey(tpm, ek, await createAk(tpm, ek, 'ecc256'));
    const make = (key: AttestationKey) =>
      makeCredential({
        ek: ek.public,
        objectName: computeName(key.public),
        secret: Buffer.from('s'),
        randomBytes,
      });
    await expect(ak.activate(make(other))).rejects.toThrow(
      /^TPM2_ActivateCredential was refused: TPM_RC_INTEGRITY/,
    );
    expect(Buffer.from(await ak.activate(make(ak))).toString()).toBe('s');
    expect((await loaded(tpm)).map((handles) => handles.length)).toEqual([1, 0]);
  });

  test('keys of one EK do not load under another', async () => {
    const { tpm } = await lab.start();
    const rsa = await findEndorsementKey(tpm, { preference: 'rsa2048' });
    const ecc = await findEndorsementKey(tpm, { preference: 'ecc384' });
    const ak = new AttestationKey(tpm, ecc, await createAk(tpm, rsa, 'ecc256'));
    const credential = { idObject: new Uint8Array(10), encryptedSecret: new Uint8Array(10) };
    await expect(ak.activate(credential)).rejects.toThrow(TpmError);
    await expect(ak.activate(credential)).rejects.toMatchObject({ responseName: 'TPM_RC_INTEGRITY' });
  });
});

describe('the node CA key', () => {
  test('issue.tpm: is certified by the AK and signs what node:crypto verifies', async () => {
    const { tpm, swtpm } = await lab.start();
    const ek = await findEndorsementKey(tpm);
    const ak = new AttestationKey(tpm, ek, await createAk(tpm, ek, 'ecc256'));
    const key = new NodeCaKey(tpm, ek, await createNodeCaKey(tpm, ek));
    const nonce = randomBytes(32);
    const attestation = await key.certify(ak, nonce);
    const appraisal = appraiseCertify({
      akPublic: ak.public,
      objectPublic: key.public,
      nonce,
      ...attestation,
    });
    expect(appraisal).toMatchObject({ ok: true });

    const message = Buffer.from('to be signed');
    const sign = () => key.sign(createHash('sha256').update(message).digest());
    const verified = (signature: Uint8Array) =>
      verify('sha256', message, { key: publicKeyOf(key.public), dsaEncoding: 'ieee-p1363' }, signature);
    expect(verified(await sign())).toBe(true);
    await swtpm.reset();
    expect(verified(await sign())).toBe(true);
    await expect(key.sign(new Uint8Array(20))).rejects.toThrow(RangeError);
  });

  test('leaves no object and no session in the TPM after 50 uses, failed ones among them', async () => {
    const { tpm, takeCommands } = await lab.start();
    const ek = await findEndorsementKey(tpm, { preference: 'ecc256' });
    const ak = new AttestationKey(tpm, ek, await createAk(tpm, ek, 'ecc256'));
    const key = new NodeCaKey(tpm, ek, await createNodeCaKey(tpm, ek));
    for (let round = 0; round < 25; round += 1) {
      await key.certify(ak, randomBytes(16));
      const refused = ak.activate({ idObject: new Uint8Array(40), encryptedSecret: new Uint8Array(68) });
      await expect(refused).rejects.toThrow(TpmError);
    }
    expect((await loaded(tpm)).map((handles) => handles.length)).toEqual([1, 0]);
    // The AK was loaded once for all of them.
    expect(takeCommands().filter((code) => code === TPM_CC.Load)).toHaveLength(1 + 25);
    await tpm.close();
  });
});
