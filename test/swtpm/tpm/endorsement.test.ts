import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createAk } from '../../../agent/tpm/attestation-key.ts';
import { EMPTY_AUTH } from '../../../agent/tpm/command.ts';
import { createPrimary } from '../../../agent/tpm/commands/object.ts';
import { findEndorsementKey, listCertifiedEks } from '../../../agent/tpm/endorsement.ts';
import { toHex } from '../../../core/bytes/encoding.ts';
import { TPM_CC, TPM_RH } from '../../../core/tpm/constants.ts';
import { checkEndorsementKey, EK_TEMPLATES } from '../../../core/tpm/endorsement-key.ts';
import { spkiOf } from '../../../core/tpm/key.ts';
import { marshalTpm2bPublic, marshalTpmtPublic } from '../../../core/tpm/public.ts';
import { type LabTpm, TpmLab } from '../support/tpm-lab.ts';

const run = promisify(execFile);

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

describe('what a manufacturer left in NV', () => {
  /** Defines an index with other software and fills it, padded with `padding` bytes of 0xff. */
  async function writeNv({ swtpm }: LabTpm, index: number, content: Uint8Array, padding = 0): Promise<void> {
    const port = swtpm.address.split(':').at(-1);
    const options = {
      env: { ...process.env, TPM2TOOLS_TCTI: `swtpm:host=127.0.0.1,port=${port}` },
      timeout: 20_000,
    };
    const file = lab.path(`nv-${index}`);
    await writeFile(file, Buffer.concat([content, Buffer.alloc(padding, 0xff)]));
    const name = `0x${index.toString(16)}`;
    const size = String(content.length + padding);
    await run('tpm2_nvdefine', [name, '-C', 'o', '-s', size, '-a', 'ownerwrite|ownerread|authread'], options);
    await run('tpm2_nvwrite', [name, '-C', 'o', '-i', file], options);
  }

  test('a chain over two indices, the last of them padded', async () => {
    const started = await lab.start({ transport: 'tcp' });
    const { issuer, root } = await lab.caCertificates();
    const certificates = [issuer, root].map((pem) => new X509Certificate(pem).raw);
    const chain = Buffer.concat(certificates);
    await writeNv(started, 0x01c00100, chain.subarray(0, 700));
    await writeNv(started, 0x01c00101, chain.subarray(700), 50);
    const ek = await findEndorsementKey(started.tpm);
    expect(ek.chain.map((bytes) => Buffer.from(bytes))).toEqual(certificates);
  });

  test('a certificate for another key is an error that says so', async () => {
    const started = await lab.start({ transport: 'tcp' });
    const rsa = await findEndorsementKey(started.tpm);
    await writeNv(started, 0x01c0000a, rsa.certificate ?? new Uint8Array(), 100);
    expect((await listCertifiedEks(started.tpm))[1]).toMatchObject({ certificate: rsa.certificate });
    await expect(findEndorsementKey(started.tpm, { preference: 'ecc256' })).rejects.toThrow(
      'names another key',
    );
  });

  test('a nonce and a template of its own each give another EK', async () => {
    const started = await lab.start({ transport: 'tcp' });
    const find = () => findEndorsementKey(started.tpm, { preference: 'ecc256' });
    const keys = [await find()];
    await writeNv(started, 0x01c0000b, Uint8Array.of(1, 2, 3, 4));
    keys.push(await find());
    await writeNv(started, 0x01c0000c, marshalTpmtPublic(EK_TEMPLATES['H-2']), 20);
    keys.push(await find());
    expect(new Set(keys.map((ek) => toHex(marshalTpm2bPublic(ek.public)))).size).toBe(3);
    expect(keys[2]?.public.objectAttributes.userWithAuth).toBe(true);
    expect(await createAk(started.tpm, keys[2] ?? (await find()), 'ecc256')).toBeDefined();
  });
});
