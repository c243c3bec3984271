import { connect, type NetConnectOpts } from 'node:net';
import { Reader } from '../../core/bytes/reader.ts';
import { Writer } from '../../core/bytes/writer.ts';
import { AssayError } from '../../core/errors.ts';

/** Commands of swtpm's control channel (swtpm_ioctls(3)), as far as we use them. */
export const SWTPM_CTRL = { INIT: 2, SHUTDOWN: 3, STOP: 0x0e, GET_CONFIG: 0x0f } as const;

const RESULT_BYTES = 4;
const TIMEOUT_MS = 3_000;

/**
 * Sends one command to a control channel, on a connection of its own, and waits for its result.
 *
 * @throws {AssayError} `unavailable` when the channel does not answer, or answers with an error
 */
export async function swtpmControl(target: NetConnectOpts, command: number, flags?: number): Promise<void> {
  const request = new Writer().u32(command);
  if (flags !== undefined) request.u32(flags);
  const answer = await exchange(target, request.bytes());
  const result = new Reader(answer, 'ptm').u32('result');
  if (result !== 0) {
    throw new AssayError('unavailable', `swtpm refused control command ${command}: 0x${result.toString(16)}`);
  }
}

/** Writes `request` and resolves with at least the four bytes that every answer starts with. */
export function exchange(
  target: NetConnectOpts,
  request: Uint8Array,
  minimumBytes = RESULT_BYTES,
  timeoutMs = TIMEOUT_MS,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(target, () => socket.write(request));
    const finish = (error?: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      if (error === undefined) resolve(Buffer.concat(chunks));
      else reject(new AssayError('unavailable', `swtpm does not answer: ${error.message}`, { cause: error }));
    };
    const timer = setTimeout(() => finish(new Error(`nothing came in ${timeoutMs} ms`)), timeoutMs);
    socket.on('error', finish);
    socket.on('close', () => finish(new Error('the connection was closed')));
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      if (Buffer.concat(chunks).length >= minimumBytes) finish();
    });
  });
}
