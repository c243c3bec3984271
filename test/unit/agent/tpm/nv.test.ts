import { describe, expect, test } from 'vitest';
import { splitChain, splitDer } from '../../../../agent/tpm/certificate-nv.ts';
import { nvReadAll } from '../../../../agent/tpm/commands/nv.ts';
import { Tpm } from '../../../../agent/tpm/tpm.ts';
import { concat, Writer } from '../../../../core/bytes/writer.ts';
import { TPM_CC, TPM_RH } from '../../../../core/tpm/constants.ts';
import { responseOf, ScriptedTransport, sessionResponseOf } from './scripted-transport.ts';

const INDEX = 0x01c00002;
const WRITTEN = 1 << 29;
const AUTHREAD = 1 << 18;
const OWNERREAD = 1 << 17;

/** A TPM with one NV index. */
function tpmWith(content: Uint8Array, attributes: number) {
  const transport = new ScriptedTransport((code, command) => {
    if (code === TPM_CC.NV_ReadPublic) {
      const area = new Writer().u32(INDEX).u16(0x0b).u32(attributes).u16(0).u16(content.length).bytes();
      return responseOf(new Writer().sized16(area).sized16(new Uint8Array(34)).bytes());
    }
    const view = Buffer.from(command);
    const [size, offset] = [view.readUInt16BE(view.length - 4), view.readUInt16BE(view.length - 2)];
    return sessionResponseOf(new Writer().sized16(content.subarray(offset, offset + size)).bytes());
  });
  return { tpm: new Tpm({ transport }), transport };
}

describe('nvReadAll', () => {
  const content = Uint8Array.from({ length: 1000 }, (_, index) => index & 0xff);

  test('reads in pieces that the TPM can give', async () => {
    const { tpm, transport } = tpmWith(content, WRITTEN | AUTHREAD);
    expect(await tpm.use((channel) => nvReadAll(channel, INDEX, 512))).toEqual(content);
    expect(transport.codes).toEqual([TPM_CC.NV_ReadPublic, TPM_CC.NV_Read, TPM_CC.NV_Read]);
  });

  test.each([
    ['the index itself', WRITTEN | AUTHREAD | OWNERREAD, INDEX],
    ['the owner where only the owner may read', WRITTEN | OWNERREAD, TPM_RH.OWNER],
  ])('reads with the authority of %s', async (_, attributes, authority) => {
    const { tpm, transport } = tpmWith(content, attributes);
    await tpm.use((channel) => nvReadAll(channel, INDEX, 2048));
    expect(Buffer.from(transport.commands[1] ?? []).readUInt32BE(10)).toBe(authority);
  });

  test('an index that was never written has no content', async () => {
    const { tpm } = tpmWith(content, AUTHREAD);
    expect(await tpm.use((channel) => nvReadAll(channel, INDEX, 512))).toBeUndefined();
  });
});

describe('certificates in NV', () => {
  const short = Uint8Array.of(0x30, 3, 1, 2, 3);
  const long = concat(Uint8Array.of(0x30, 0x82, 1, 0), new Uint8Array(256).fill(7));

  test.each([
    ['without padding', long, [long]],
    ['padded with zeros', concat(long, new Uint8Array(700)), [long]],
    ['padded with ff', concat(short, new Uint8Array(9).fill(0xff)), [short]],
    ['one after the other', concat(long, short), [long, short]],
    ['cut off', long.subarray(0, 200), []],
    ['something else', Uint8Array.of(0x10, 1, 0), []],
    ['an indefinite length', Uint8Array.of(0x30, 0x80, 0, 0), []],
    ['a length over four bytes', Uint8Array.of(0x30, 0x84, 0, 0, 0, 1, 5), []],
    ['nothing', new Uint8Array(), []],
  ])('%s', (_, bytes, expected) => {
    expect(splitDer(bytes)).toEqual(expected);
  });

  test('a chain is read across indices, also where each index is padded', () => {
    expect(splitChain([long.subarray(0, 100), concat(long.subarray(100), short)])).toEqual([long, short]);
    expect(splitChain([concat(long, new Uint8Array(5)), concat(short, new Uint8Array(5))])).toEqual([
      long,
      short,
    ]);
    expect(splitChain([])).toEqual([]);
  });
});
