import { X509Certificate } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { EMPTY_AUTH } from '../../../agent/tpm/command.ts';
import { createPrimary } from '../../../agent/tpm/commands/object.ts';
import { findEndorsementKey, listCertifiedEks } from '../../../agent/tpm/endorsement.ts';
import { TPM_CC, TPM_RH } from '../../../core/tpm/constants.ts';
import { checkEndorsementKey, EK_TEMPLATES } from '../../../core/tpm/endorsement-key.ts';
import { spkiOf } from '../../../core/tpm/key.ts';
import { marshalTpm2bPublic } from '../../../core/tpm/public.ts';
import { TpmLab } from '../support/tpm-lab.ts';

let lab: TpmLab;
beforeAll(async () => {
  lab = await TpmLab.open();
});
afterEach(() => lab.stopAll());
afterAll(() => lab.close());

describe('endorsement keys of a software TPM', () => {
  test.each([
    ['auto', 'L-1', 0x81010001],
    ['rsa2048', 'L-1', 0x81010001],
    ['ecc384', 'H-3', 0x81010016],
  ] as const)('%s is the EK of template %s, with its certificate', async (preference, template, handle) => {
    const { tpm, takeCommands } = await lab.start();
    const ek = await findEndorsementKey(tpm, { preference });
    expect(ek.slot.template).toBe(template);
    expect(ek.persistentHandle).toBe(handle);
    expect(takeCommands()).not.toContain(TPM_CC.CreatePrimary);
    expect(checkEndorsementKey(ek.public)).toEqual([]);

    const certificate = new X509Certificate(ek.certificate ?? new Uint8Array());
    expect(Buffer.from(spkiOf(ek.public))).toEqual(
      certificate.publicKey.export({ type: 'spki', format: 'der' }),
    );
    const { issuer, root } = await lab.caCertificates();
    expect(certificate.verify(new X509Certificate(issuer).publicKey)).toBe(true);
    expect(new X509Certificate(issuer).verify(new X509Certificate(root).publicKey)).toBe(true);
    expect(ek.chain).toEqual([]);
  });

  test('an EK without a certificate is made from its template, the same one each time', async () => {
    const { tpm } = await lab.start();
    const first = await findEndorsementKey(tpm, { preference: 'ecc256' });
    const second = await findEndorsementKey(tpm, { preference: 'ecc256' });
    expect(first).toMatchObject({
      certificate: undefined,
      persistentHandle: undefined,
      slot: { template: 'L-2' },
    });
    expect(checkEndorsementKey(first.public)).toEqual([]);
    expect(marshalTpm2bPublic(second.public)).toEqual(marshalTpm2bPublic(first.public));
  });

  test('the persistent EK is the one that its template makes', async () => {
    const { tpm } = await lab.start();
    const ek = await findEndorsementKey(tpm, { preference: 'ecc384' });
    const template = marshalTpm2bPublic(EK_TEMPLATES['H-3']);
    const made = await tpm.use((channel) => createPrimary(channel, TPM_RH.ENDORSEMENT, template, EMPTY_AUTH));
    expect(marshalTpm2bPublic(made.public)).toEqual(marshalTpm2bPublic(ek.public));
  });

  test('all EK certificates are listed', async () => {
    const { tpm } = await lab.start();
    const found = await listCertifiedEks(tpm);
    expect(found.map(({ slot }) => slot.template)).toEqual(['L-1', 'H-3']);
  });
});
