import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openTransport } from '../../../../../agent/tpm/transport/open.ts';
import { SocketTransport } from '../../../../../agent/tpm/transport/socket.ts';
import type { TpmTransport } from '../../../../../agent/tpm/transport/transport.ts';

const COMMAND = Buffer.from('80010000000c0000017b0010', 'hex');
const RESPONSE = Buffer.from('8001000000120000000000062122232425aa'.padEnd(36, '0'), 'hex');

let folder: string;
let path: string;
let server: Server | undefined;
let transport: TpmTransport | undefined;

/** Listens on the test's socket and leaves each command to `answer`. */
async function serve(answer: (socket: Socket, command: Buffer) => void): Promise<void> {
  server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (command) => answer(socket, command));
  });
  await new Promise<void>((done) => server?.listen(path, done));
}

async function stopServing(): Promise<void> {
  const closing = server;
  server = undefined;
  if (closing !== undefined) await new Promise((done) => closing.close(done));
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sock-'));
  path = join(folder, 'tpm.sock');
});

afterEach(async () => {
  await transport?.close();
  transport = undefined;
  await stopServing();
  await rm(folder, { recursive: true });
});

describe('SocketTransport', () => {
  test('sends a command in one write and joins a response that comes in pieces', async () => {
    const commands: string[] = [];
    await serve((socket, command) => {
      commands.push(command.toString('hex'));
      void (async () => {
        for (const byte of RESPONSE) {
          socket.write(Uint8Array.of(byte));
          await sleep(1);
        }
      })();
    });
    transport = await openTransport(`swtpm:unix:${path}`);
    expect(Buffer.from(await transport.send(COMMAND))).toEqual(RESPONSE);
    expect(commands).toEqual([COMMAND.toString('hex')]);
  });

  test('keeps the connection for a burst and gives it up when idle', async () => {
    await serve((socket) => socket.write(RESPONSE));
    let connections = 0;
    server?.on('connection', () => {
      connections += 1;
    });
    transport = await openTransport(`swtpm:unix:${path}`, { idleMs: 20 });
    for (let index = 0; index < 5; index += 1) await transport.send(COMMAND);
    expect(connections).toBe(1);
    await sleep(80);
    await transport.send(COMMAND);
    expect(connections).toBe(2);
  });

  test('a response that does not come in time is an error, and its late arrival is not taken for the next', async () => {
    let count = 0;
    await serve((socket) => {
      count += 1;
      const slow = count === 1;
      const response = Buffer.from(RESPONSE);
      response[17] = count;
      setTimeout(() => socket.write(response), slow ? 120 : 0);
    });
    transport = await openTransport(`swtpm:unix:${path}`, { responseTimeoutMs: 60 });
    await expect(transport.send(COMMAND)).rejects.toMatchObject({ problem: 'timeout', code: 'unavailable' });
    await sleep(100);
    expect((await transport.send(COMMAND))[17]).toBe(2);
  });

  test('a TPM that goes away in the middle of a response is an error that says so', async () => {
    await serve((socket) => {
      socket.write(RESPONSE.subarray(0, 7));
      setTimeout(() => socket.destroy(), 10);
    });
    transport = await openTransport(`swtpm:unix:${path}`);
    await expect(transport.send(COMMAND)).rejects.toThrow(/went away after 7 bytes of its response/);
  });

  test('more than one response is an error, and the connection is not used again', async () => {
    let first = true;
    await serve((socket) => {
      socket.write(first ? Buffer.concat([RESPONSE, RESPONSE]) : RESPONSE);
      first = false;
    });
    transport = await openTransport(`swtpm:unix:${path}`);
    await expect(transport.send(COMMAND)).rejects.toMatchObject({ problem: 'protocol' });
    await expect(transport.send(COMMAND)).resolves.toHaveLength(18);
  });

  test('finds a TPM again that was away for a moment', async () => {
    await serve((socket) => socket.end(RESPONSE));
    transport = await openTransport(`swtpm:unix:${path}`, { idleMs: 1 });
    await transport.send(COMMAND);
    await stopServing();
    const answer = transport.send(COMMAND);
    await sleep(60);
    await serve((socket) => socket.write(RESPONSE));
    await expect(answer).resolves.toHaveLength(18);
  });

  test('gives up on a TPM that stays away', async () => {
    transport = new SocketTransport({ path }, 'swtpm:unix:gone', { connectTimeoutMs: 80 });
    await expect(transport.send(COMMAND)).rejects.toThrow(
      /cannot reach swtpm:unix:gone: there is no such socket/,
    );
  });

  test('is of no use after close', async () => {
    await serve((socket) => socket.write(RESPONSE));
    transport = await openTransport(`swtpm:unix:${path}`);
    await transport.close();
    await expect(transport.send(COMMAND)).rejects.toMatchObject({ problem: 'closed' });
  });
});

describe('openTransport', () => {
  test('says at once that nothing is there', async () => {
    const started = Date.now();
    await expect(openTransport(`swtpm:unix:${path}`)).rejects.toThrow(/is swtpm running with this path/);
    await expect(openTransport('swtpm:tcp:127.0.0.1:1')).rejects.toThrow(/nothing listens there/);
    await expect(openTransport('device:/dev/no-such-tpm')).rejects.toThrow(/there is no TPM at/);
    expect(Date.now() - started).toBeLessThan(1_000);
  });

  test('reaches a TPM over TCP', async () => {
    await serve(() => {});
    await stopServing();
    server = createServer((socket) => socket.on('data', () => socket.write(RESPONSE)));
    await new Promise<void>((done) => server?.listen(0, '127.0.0.1', done));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('not a TCP server');
    transport = await openTransport(`swtpm:tcp:127.0.0.1:${address.port}`);
    expect(transport.hasResourceManager).toBe(false);
    await expect(transport.send(COMMAND)).resolves.toHaveLength(18);
  });

  test.each([
    'tpm0',
    '/dev/tpmrm0',
    'device:tpmrm0',
    'swtpm:unix:tpm.sock',
    'swtpm:tcp:127.0.0.1',
    'swtpm:tcp::2321',
    'swtpm:tcp:127.0.0.1:0',
    'swtpm:tcp:127.0.0.1:65536',
  ])('refuses the address %s and shows the known forms', async (address) => {
    await expect(openTransport(address)).rejects.toMatchObject({ code: 'invalid-config' });
    await expect(openTransport(address)).rejects.toThrow('expected device:/dev/tpmrm0, swtpm:unix:/PATH');
  });
});
