import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type DeviceHandle, DeviceTransport } from '../../../../../agent/tpm/transport/device.ts';

const COMMAND = Buffer.from('80010000000c0000017b0010', 'hex');
const RESPONSE = Buffer.from('800100000012000000000006212223242526', 'hex');

/** A device that gives `pieces` one for each read, and notes what is done with it. */
class FakeDevice implements DeviceHandle {
  readonly calls: string[] = [];
  readonly #pieces: (Uint8Array | Error | Promise<Uint8Array>)[];

  constructor(...pieces: (Uint8Array | Error | Promise<Uint8Array>)[]) {
    this.#pieces = pieces;
  }

  async write(bytes: Uint8Array, offset: number, length: number, position: null) {
    this.calls.push(`write ${Buffer.from(bytes).toString('hex')} at ${position}`);
    return { bytesWritten: length - offset };
  }

  async read(bytes: Uint8Array, offset: number, _length: number, position: null) {
    this.calls.push(`read at ${position}`);
    const piece = await (this.#pieces.shift() ?? new Uint8Array());
    if (piece instanceof Error) throw piece;
    bytes.set(piece, offset);
    return { bytesRead: piece.length };
  }

  async close() {
    this.calls.push('close');
  }
}

function transportOver(...devices: FakeDevice[]): DeviceTransport {
  const queue = [...devices];
  return new DeviceTransport('/dev/tpmrm0', {
    responseTimeoutMs: 50,
    openDevice: async () => queue.shift() ?? failWith('ENOENT'),
  });
}

function failWith(code: string): never {
  throw Object.assign(new Error(`${code}: cannot`), { code });
}

describe('DeviceTransport', () => {
  test('writes the whole command once and reads once, without a position', async () => {
    const device = new FakeDevice(RESPONSE);
    expect(Buffer.from(await transportOver(device).send(COMMAND))).toEqual(RESPONSE);
    expect(device.calls).toEqual([`write ${COMMAND.toString('hex')} at null`, 'read at null']);
  });

  test('reads on when a read brings a part of the response', async () => {
    const device = new FakeDevice(RESPONSE.subarray(0, 4), RESPONSE.subarray(4, 11), RESPONSE.subarray(11));
    expect(Buffer.from(await transportOver(device).send(COMMAND))).toEqual(RESPONSE);
  });

  test('a response that ends early is an error', async () => {
    const device = new FakeDevice(RESPONSE.subarray(0, 12), new Uint8Array());
    await expect(transportOver(device).send(COMMAND)).rejects.toThrow('ended after 12 bytes of a response');
  });

  test('a short write is an error', async () => {
    const device = new FakeDevice(RESPONSE);
    device.write = async () => ({ bytesWritten: 5 });
    await expect(transportOver(device).send(COMMAND)).rejects.toThrow('took 5 of 12 bytes');
  });

  test('opens the device again after a failure, so that nothing stale is read', async () => {
    const broken = new FakeDevice(new Error('EIO: i/o error, read'));
    const transport = transportOver(broken, new FakeDevice(RESPONSE));
    await expect(transport.send(COMMAND)).rejects.toMatchObject({ problem: 'closed' });
    await expect(transport.send(COMMAND)).resolves.toHaveLength(18);
    expect(broken.calls.at(-1)).toBe('close');
  });

  test('does not wait for ever, and closes the device only when its read is over', async () => {
    let answer: (bytes: Uint8Array) => void = () => {};
    const stuck = new FakeDevice(
      new Promise((done) => {
        answer = done;
      }),
    );
    const transport = transportOver(stuck, new FakeDevice(RESPONSE));
    await expect(transport.send(COMMAND)).rejects.toMatchObject({ problem: 'timeout' });
    expect(stuck.calls).not.toContain('close');
    await expect(transport.send(COMMAND)).resolves.toHaveLength(18);
    answer(RESPONSE);
    await sleep(1);
    expect(stuck.calls.at(-1)).toBe('close');
  });

  test.each([
    ['/dev/tpmrm0', true],
    ['/dev/tpmrm12', true],
    ['/dev/tpm0', false],
  ])('knows whether %s manages resources', (path, expected) => {
    expect(new DeviceTransport(path).hasResourceManager).toBe(expected);
  });

  test.each([
    ['ENOENT', /there is no TPM at .*kernel driver is loaded/],
    ['EBUSY', /another program has .* open; use the resource manager, \/dev\/tpmrm0/],
    ['EIO', /cannot open .*: EIO/],
  ])('explains %s', async (code, expected) => {
    const transport = new DeviceTransport('/dev/tpm0', { openDevice: async () => failWith(code) });
    await expect(transport.probe()).rejects.toThrow(expected);
  });

  test('explains EACCES with the group that may open the device', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'device-'));
    const path = join(folder, 'tpm0');
    await writeFile(path, '');
    const transport = new DeviceTransport(path, { openDevice: async () => failWith('EACCES') });
    await expect(transport.probe()).rejects.toThrow(
      /belongs to group \S+: run as root, or add .*usermod -aG \S+ USER/,
    );
    await rm(folder, { recursive: true });
  });
});
