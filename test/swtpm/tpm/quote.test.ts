import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type AkAlgorithm, AttestationKey, createAk } from '../../../agent/tpm/attestation-key.ts';
import { EMPTY_AUTH, marshalCommand } from '../../../agent/tpm/command.ts';
import { getPcrBanks } from '../../../agent/tpm/commands/capability.ts';
import { pcrExtend, pcrRead, pcrReset } from '../../../agent/tpm/commands/pcr.ts';
import { findEndorsementKey } from '../../../agent/tpm/endorsement.ts';
import { bindPcr16, type QuoteRequest, type QuoteResult, Quoter } from '../../../agent/tpm/quote.ts';
import { Tpm } from '../../../agent/tpm/tpm.ts';
import { openTransport } from '../../../agent/tpm/transport/open.ts';
import { Writer } from '../../../core/bytes/writer.ts';
import { type HashName, TPM_ALG, TPM_CC } from '../../../core/tpm/constants.ts';
import { publicKeyOf } from '../../../core/tpm/key.ts';
import { appraiseQuote } from '../../../core/tpm/quote.ts';
import { TpmLab } from '../support/tpm-lab.ts';

const ALL = Array.from({ length: 24 }, (_, pcr) => pcr);
const MEASUREMENT = createHash('sha256').update('an event').digest();
const EXTEND_PCR_8 = marshalCommand({
  code: TPM_CC.PCR_Extend,
  handles: [8],
  auths: [EMPTY_AUTH],
  parameters: new Writer().u32(1).u16(TPM_ALG.SHA256).raw(MEASUREMENT).bytes(),
});

let lab: TpmLab;
beforeAll(async () => {
  lab = await TpmLab.open();
});
afterEach(() => lab.stopAll());
afterAll(() => lab.close());

async function makeAk(tpm: Tpm, algorithm: AkAlgorithm = 'ecc256'): Promise<AttestationKey> {
  const ek = await findEndorsementKey(tpm);
  return new AttestationKey(tpm, ek, await createAk(tpm, ek, algorithm));
}

function appraise(ak: AttestationKey, request: QuoteRequest, { pcrValues, ...signed }: QuoteResult) {
  const { nonce, bank, pcrs } = request;
  const selection = { bank, pcrs };
  return appraiseQuote({
    akPublic: ak.public,
    nonce,
    selection,
    pcrValues: new Map([[bank, pcrValues]]),
    ...signed,
  });
}

function request(over: Partial<QuoteRequest> = {}): QuoteRequest {
  return { nonce: randomBytes(32), bank: 'sha256', pcrs: ALL, ...over };
}

describe('Quoter', () => {
  test.each([
    ['rsa2048', 'sha256'],
    ['ecc256', 'sha256'],
    ['ecc256', 'sha384'],
  ] as const)('an AK %s quotes bank %s so that the verifier accepts it', async (algorithm, bank) => {
    const { tpm } = await lab.start();
    const ak = await makeAk(tpm, algorithm);
    const asked = request({ bank });
    const appraisal = appraise(ak, asked, await new Quoter(ak).quote(asked));
    expect(appraisal).toMatchObject({ ok: true });
  });

  test('tpm2_checkquote accepts it as well', async () => {
    const { tpm } = await lab.start();
    const ak = await makeAk(tpm, 'rsa2048');
    const asked = request({ pcrs: [0, 7, 10] });
    const { attest, signature } = await new Quoter(ak).quote(asked);
    const paths = {
      key: lab.path('ak.pem'),
      attest: lab.path('quote.msg'),
      signature: lab.path('quote.sig'),
    };
    await writeFile(paths.key, publicKeyOf(ak.public).export({ type: 'spki', format: 'pem' }));
    await writeFile(paths.attest, attest);
    await writeFile(paths.signature, signature);
    const check = (nonce: Uint8Array) =>
      promisify(execFile)(
        'tpm2_checkquote',
        [
          '-u',
          paths.key,
          '-m',
          paths.attest,
          '-s',
          paths.signature,
          '-g',
          'sha256',
          '-q',
          Buffer.from(nonce).toString('hex'),
        ],
        { env: { ...process.env, TPM2TOOLS_TCTI: 'none' }, timeout: 20_000 },
      );
    await check(asked.nonce);
    await expect(check(randomBytes(32))).rejects.toThrow();
  });

  test('costs one command while no PCR changes', async () => {
    const { tpm, takeCommands } = await lab.start();
    const ak = await makeAk(tpm);
    const quoter = new Quoter(ak);
    const binding = createHash('sha256').update('key').digest();
    await quoter.quote(request({ binding }));
    takeCommands();
    const asked = request({ binding });
    const result = await quoter.quote(asked);
    expect(takeCommands()).toEqual([TPM_CC.Quote]);
    expect(appraise(ak, asked, result)).toMatchObject({ ok: true });
  });

  test('shows a PCR that was extended since the last quote', async () => {
    const { tpm, takeCommands } = await lab.start();
    const ak = await makeAk(tpm);
    const quoter = new Quoter(ak);
    const before = await quoter.quote(request());
    await tpm.use((channel) => pcrExtend(channel, 8, 'sha256', MEASUREMENT));
    takeCommands();
    const asked = request();
    const after = await quoter.quote(asked);
    expect(takeCommands()).toEqual([TPM_CC.Quote, TPM_CC.PCR_Read, TPM_CC.PCR_Read, TPM_CC.PCR_Read]);
    expect(appraise(ak, asked, after)).toMatchObject({ ok: true });
    const changed = ALL.filter(
      (pcr) =>
        !Buffer.from(before.pcrValues.get(pcr) ?? []).equals(after.pcrValues.get(pcr) ?? new Uint8Array()),
    );
    expect(changed).toEqual([8]);
    const expected = createHash('sha256').update(new Uint8Array(32)).update(MEASUREMENT).digest();
    expect(Buffer.from(after.pcrValues.get(8) ?? [])).toEqual(expected);
  });

  test('binds PCR 16, and again when somebody else changed it', async () => {
    const { tpm } = await lab.start();
    const ak = await makeAk(tpm);
    const quoter = new Quoter(ak);
    const binding = createHash('sha256').update('the key').digest();
    const bound = createHash('sha256').update(new Uint8Array(32)).update(binding).digest();
    for (const disturb of [async () => {}, () => tpm.use((channel) => pcrReset(channel, 16))]) {
      await disturb();
      const asked = request({ pcrs: [16], binding });
      const result = await quoter.quote(asked);
      expect(Buffer.from(result.pcrValues.get(16) ?? [])).toEqual(bound);
      expect(appraise(ak, asked, result)).toMatchObject({ ok: true });
    }
    expect(() => quoter.quote(request({ pcrs: [0], binding }))).toThrow(RangeError);
  });

  test.each([
    ['a PCR that changes between quote and reading costs a second quote', false, 2],
    ['PCRs that never keep still are an error after five quotes', true, 5],
  ])('%s', async (_, always, expected) => {
    const { tpm, swtpm } = await lab.start();
    const ak = await makeAk(tpm);
    const inner = await openTransport(swtpm.address);
    let quotes = 0;
    const busy = new Tpm({
      transport: {
        async send(command) {
          if (Buffer.from(command).readUInt32BE(6) !== TPM_CC.Quote) return inner.send(command);
          if (always) await inner.send(EXTEND_PCR_8);
          const response = await inner.send(command);
          await inner.send(EXTEND_PCR_8);
          // The first attempt may be answered with TPM_RC_RETRY, which is no quote.
          if (Buffer.from(response).readUInt32BE(6) === 0) quotes += 1;
          return response;
        },
        close: () => inner.close(),
      },
    });
    const asked = request();
    const result = new Quoter(new AttestationKey(busy, ak.ek, ak.blobs)).quote(asked);
    if (always) await expect(result).rejects.toThrow('PCRs changed during each of 5 quotes');
    else expect(appraise(ak, asked, await result)).toMatchObject({ ok: true });
    expect(quotes).toBe(expected);
    await busy.close();
  });

  test('a bank that the TPM does not have is an error, not an empty quote', async () => {
    const { tpm } = await lab.start();
    const ak = await makeAk(tpm);
    await expect(new Quoter(ak).quote(request({ bank: 'sha512', pcrs: [0, 1] }))).rejects.toMatchObject({
      code: 'invalid-request',
      message: 'this TPM has no PCR 0, 1 in bank sha512',
    });
  });

  test('goes on after a reboot of the TPM, with the same AK and a higher reset count', async () => {
    const { tpm, swtpm } = await lab.start();
    const ak = await makeAk(tpm);
    const quoter = new Quoter(ak);
    const counts: number[] = [];
    for (let boot = 0; boot < 3; boot += 1) {
      const asked = request();
      const appraisal = appraise(ak, asked, await quoter.quote(asked));
      if (!appraisal.ok) throw new Error('the quote was refused');
      counts.push(appraisal.quote.clockInfo.resetCount);
      await tpm.use((channel) => pcrExtend(channel, 8, 'sha256', MEASUREMENT));
      await swtpm.reset();
    }
    const first = counts[0] ?? 0;
    expect(counts).toEqual([first, first + 1, first + 2]);
  });
});

describe('PCRs', () => {
  test('both banks are there and change together', async () => {
    const { tpm } = await lab.start();
    await tpm.use(async (channel) => {
      const banks = await getPcrBanks(channel);
      expect(banks.map(({ hash }) => hash)).toEqual(['sha1', 'sha256', 'sha384']);
      expect(banks.every(({ pcrs }) => pcrs.length === 24)).toBe(true);
      for (const bank of ['sha256', 'sha384'] as const) {
        const before = await pcrRead(channel, bank, ALL);
        expect(before.size).toBe(24);
        await pcrExtend(channel, 23, bank, createHash(bank).update('x').digest());
        expect(await pcrRead(channel, bank, [23])).not.toEqual(new Map([[23, before.get(23)]]));
      }
    });
  });

  test('bindPcr16 leaves a PCR alone that has its value already', async () => {
    const { tpm, takeCommands } = await lab.start();
    const bind = (bank: HashName, text: string) =>
      tpm.use((channel) => bindPcr16(channel, bank, createHash(bank).update(text).digest()));
    await bind('sha384', 'a');
    takeCommands();
    await bind('sha384', 'a');
    expect(takeCommands()).toEqual([TPM_CC.PCR_Read]);
    await bind('sha384', 'b');
    expect(takeCommands()).toEqual([TPM_CC.PCR_Read, TPM_CC.PCR_Reset, TPM_CC.PCR_Extend]);
  });
});
