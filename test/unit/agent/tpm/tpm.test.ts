import { describe, expect, test } from 'vitest';
import { marshalCommand, parseResponse } from '../../../../agent/tpm/command.ts';
import { getRandom } from '../../../../agent/tpm/commands/startup.ts';
import { Tpm } from '../../../../agent/tpm/tpm.ts';
import { TpmTransportError } from '../../../../agent/tpm/transport/transport.ts';
import { fromHex, toHex } from '../../../../core/bytes/encoding.ts';
import { Writer } from '../../../../core/bytes/writer.ts';
import { TPM_CC } from '../../../../core/tpm/constants.ts';
import { responseOf, ScriptedTransport } from './scripted-transport.ts';

const RANDOM = responseOf(fromHex('0004aabbccdd', 'random'));
const NOTHING_LOADED = responseOf(fromHex('000000000100000000', 'capability'));

function tpmOver(transport: ScriptedTransport): { readonly tpm: Tpm; readonly pauses: number[] } {
  const pauses: number[] = [];
  const sleep = async (milliseconds: number) => pauses.push(milliseconds);
  return { tpm: new Tpm({ transport, sleep }), pauses };
}

describe('a busy TPM', () => {
  test.each([
    ['TPM_RC_RETRY', 0x922],
    ['TPM_RC_TESTING', 0x90a],
    ['TPM_RC_YIELDED', 0x908],
    ['TPM_RC_NV_RATE', 0x920],
  ])('is asked again after %s, with growing pauses', async (_, code) => {
    const answers = [code, code, code, RANDOM];
    const { tpm, pauses } = tpmOver(new ScriptedTransport(() => answers.shift() ?? 0x101));
    expect(toHex(await tpm.use((channel) => getRandom(channel, 4)))).toBe('aabbccdd');
    expect(pauses).toEqual([2, 4, 8]);
  });

  test('is given up after some ten seconds', async () => {
    const { tpm, pauses } = tpmOver(new ScriptedTransport(() => 0x922));
    await expect(tpm.use((channel) => getRandom(channel, 4))).rejects.toThrow(
      'TPM2_GetRandom was refused: TPM_RC_RETRY (0x922)',
    );
    const total = pauses.reduce((sum, pause) => sum + pause, 0);
    expect(total).toBeGreaterThan(9_000);
    expect(total).toBeLessThan(15_000);
  });
});

describe('a TPM that is not ready', () => {
  test('is started, and has lost what was loaded', async () => {
    let started = false;
    const transport = new ScriptedTransport((code) => {
      if (code === TPM_CC.Startup) started = true;
      if (!started) return 0x100;
      return code === TPM_CC.GetRandom ? RANDOM : 0;
    });
    const { tpm } = tpmOver(transport);
    await tpm.use((channel) => getRandom(channel, 4));
    expect(transport.codes).toEqual([TPM_CC.GetRandom, TPM_CC.Startup, TPM_CC.GetRandom]);
    expect(tpm.generation).toBe(1);
  });

  test('is tested when it asks for it, once', async () => {
    const transport = new ScriptedTransport((code) => (code === TPM_CC.SelfTest ? 0 : 0x153));
    const { tpm } = tpmOver(transport);
    await expect(tpm.use((channel) => getRandom(channel, 4))).rejects.toThrow('TPM_RC_NEEDS_TEST');
    expect(transport.codes).toEqual([TPM_CC.GetRandom, TPM_CC.SelfTest, TPM_CC.GetRandom]);
  });

  test('that fails is not asked again, and the advice is to restart it', async () => {
    const transport = new ScriptedTransport(() => 0x101);
    const { tpm, pauses } = tpmOver(transport);
    await expect(tpm.use((channel) => getRandom(channel, 4))).rejects.toThrow(/failure mode.*restart it/);
    expect(pauses).toEqual([]);
  });
});

describe('leftovers', () => {
  const bare = (answer: (code: number) => Uint8Array | number | Error) =>
    new ScriptedTransport((code) => (code === TPM_CC.GetCapability ? NOTHING_LOADED : answer(code)), false);

  test('are looked for before the first work, where nothing else cleans up', async () => {
    const transport = bare(() => RANDOM);
    const { tpm } = tpmOver(transport);
    await tpm.use((channel) => getRandom(channel, 4));
    await tpm.use((channel) => getRandom(channel, 4));
    const { GetCapability, GetRandom } = TPM_CC;
    expect(transport.codes).toEqual([GetCapability, GetCapability, GetRandom, GetRandom]);
  });

  test('are looked for again after a command whose answer was lost', async () => {
    let lost = true;
    const transport = bare(() => {
      const first = lost;
      lost = false;
      return first ? new TpmTransportError('timeout', 'late') : RANDOM;
    });
    const { tpm } = tpmOver(transport);
    await expect(tpm.use((channel) => getRandom(channel, 4))).rejects.toThrow('late');
    await tpm.use((channel) => getRandom(channel, 4));
    const { GetCapability, GetRandom } = TPM_CC;
    const once = [GetCapability, GetCapability, GetRandom];
    expect(transport.codes).toEqual([...once, ...once]);
  });

  test('are not our business behind a resource manager', async () => {
    const transport = new ScriptedTransport(() => RANDOM);
    await tpmOver(transport).tpm.use((channel) => getRandom(channel, 4));
    expect(transport.codes).toEqual([TPM_CC.GetRandom]);
  });
});

describe('commands and responses', () => {
  test('a command with sessions has the size of its authorisations in front', () => {
    const password = new TextEncoder().encode('pw');
    const bytes = marshalCommand({
      code: TPM_CC.Certify,
      handles: [0x80000000, 0x80000001],
      auths: [
        { type: 'password', password },
        { type: 'policy', session: 0x03000000 },
      ],
      parameters: Uint8Array.of(0xee),
    });
    expect(toHex(bytes)).toBe(
      [
        '8002 0000002b 00000148 80000000 80000001',
        '00000014',
        '40000009 0000 00 0002 7077',
        '03000000 0000 00 0000',
        'ee',
      ]
        .join('')
        .replaceAll(' ', ''),
    );
  });

  test.each([
    ['a size that is not its own', '80010000000b00000000', 'size'],
    ['the tag of a command with sessions', '80020000000a00000000', 'tag'],
    ['less than a header', '8001000000', 'size'],
    ['no handle where one is due', '80010000000a00000000', 'handle'],
  ])('a response with %s is refused', (_, hex, field) => {
    const returnsHandle = field === 'handle';
    const parse = () => parseResponse({ code: TPM_CC.Load, returnsHandle }, fromHex(hex, 'response'));
    expect(parse).toThrow(`response.${field}`);
  });

  test('random bytes are fetched until there are enough, and never more', async () => {
    const answer = (size: number) => responseOf(new Writer().sized16(new Uint8Array(size)).bytes());
    const { tpm } = tpmOver(new ScriptedTransport((_, command) => answer(Math.min(command[11] ?? 0, 20))));
    expect(await tpm.use((channel) => getRandom(channel, 50))).toHaveLength(50);
    const greedy = tpmOver(new ScriptedTransport(() => answer(5)));
    await expect(greedy.tpm.use((channel) => getRandom(channel, 4))).rejects.toThrow('over the limit of 4');
    const empty = tpmOver(new ScriptedTransport(() => answer(0)));
    await expect(empty.tpm.use((channel) => getRandom(channel, 4))).rejects.toThrow('are none');
  });
});
