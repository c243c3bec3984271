import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { ResponseAssembler } from './response-assembler.ts';
import { checkCommand, type TpmTransport, TpmTransportError } from './transport.ts';

export interface SocketTransportOptions {
  /** How long a TPM that went away may take to come back before a command fails. */
  readonly connectTimeoutMs?: number;
  /** How long one command may take; generating an RSA key in hardware takes tens of seconds. */
  readonly responseTimeoutMs?: number;
  /**
   * How long the connection is kept after a response. swtpm serves one connection at a time, so this is
   * short: other programs on the machine want their turn.
   */
  readonly idleMs?: number;
}

const DEFAULTS: Required<SocketTransportOptions> = {
  connectTimeoutMs: 3_000,
  responseTimeoutMs: 60_000,
  idleMs: 25,
};
const RECONNECT_PAUSE_MS = 20;
/** Within a burst of commands the connection is not looked at before each. */
const SETTLED_MS = 2;
/** What a TPM that is just starting again looks like; EAGAIN: the listener's queue is full. */
const TRANSIENT_CONNECT_ERRORS: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'EAGAIN',
  'ECONNRESET',
]);

/**
 * A software TPM's data socket: bare commands and bare responses, one of each at a time, one write for
 * each command. Connects on demand and again after the TPM went away.
 */
export class SocketTransport implements TpmTransport {
  readonly hasResourceManager = false;
  readonly #target: NetConnectOpts;
  readonly #name: string;
  readonly #options: Required<SocketTransportOptions>;
  #socket: Socket | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #closed = false;
  #lastUse = 0;

  /** @param name how errors call the TPM, such as `swtpm:unix:/run/tpm.sock` */
  constructor(target: NetConnectOpts, name: string, options: SocketTransportOptions = {}) {
    this.#target = target;
    this.#name = name;
    this.#options = { ...DEFAULTS, ...options };
  }

  /** Connects once, without patience. @throws {TpmTransportError} `unreachable` */
  async probe(): Promise<void> {
    this.#drop();
    this.#adopt(await connectOnce(this.#target, this.#name, this.#options.connectTimeoutMs));
  }

  async send(command: Uint8Array): Promise<Uint8Array> {
    checkCommand(command);
    if (this.#closed)
      throw new TpmTransportError('closed', `the connection to ${this.#name} was closed by us`);
    const socket = (await this.#usableSocket()) ?? this.#adopt(await this.#reconnect());
    clearTimeout(this.#idleTimer);
    socket.ref();
    try {
      return await this.#exchange(socket, command);
    } catch (error) {
      // A late answer must never be taken for the answer to the next command.
      this.#drop();
      throw error;
    } finally {
      this.#rest();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#drop();
  }

  #exchange(socket: Socket, command: Uint8Array): Promise<Uint8Array> {
    const { responseTimeoutMs } = this.#options;
    const assembler = new ResponseAssembler();
    return new Promise((resolve, reject) => {
      const fail = (problem: 'closed' | 'timeout', what: string, cause?: unknown): void =>
        finish(() => reject(new TpmTransportError(problem, `${this.#name} ${what}`, cause)));
      const onData = (chunk: Buffer): void => {
        try {
          const response = assembler.push(chunk);
          if (response !== undefined) finish(() => resolve(response));
        } catch (error) {
          finish(() => reject(error));
        }
      };
      const onError = (error: Error): void => fail('closed', `broke off: ${error.message}`, error);
      const onClose = (): void =>
        fail('closed', `went away after ${assembler.received} bytes of its response`);
      const timer = setTimeout(() => {
        fail(
          'timeout',
          `gave no whole response in ${responseTimeoutMs} ms; another program may hold its only connection`,
        );
      }, responseTimeoutMs);
      const finish = (settle: () => void): void => {
        clearTimeout(timer);
        socket.off('data', onData).off('error', onError).off('close', onClose);
        settle();
      };
      socket.on('data', onData).on('error', onError).on('close', onClose);
      socket.write(command);
    });
  }

  /** After a pause the connection may have ended without our having been told: look before use. */
  async #usableSocket(): Promise<Socket | undefined> {
    if (this.#socket !== undefined && Date.now() - this.#lastUse > SETTLED_MS) await setImmediate();
    return this.#socket;
  }

  async #reconnect(): Promise<Socket> {
    const deadline = Date.now() + this.#options.connectTimeoutMs;
    for (;;) {
      const left = Math.max(deadline - Date.now(), 1);
      try {
        return await connectOnce(this.#target, this.#name, left);
      } catch (error) {
        const retry =
          TRANSIENT_CONNECT_ERRORS.has(codeOf(error)) && Date.now() + RECONNECT_PAUSE_MS < deadline;
        if (!retry || this.#closed) throw error;
        await sleep(RECONNECT_PAUSE_MS);
      }
    }
  }

  #adopt(socket: Socket): Socket {
    this.#socket = socket;
    const forget = (): void => {
      if (this.#socket === socket) this.#drop();
    };
    // Keeps a handler on the socket for life, so that a reset while idle is no uncaught error.
    socket.on('error', forget).on('end', forget).on('close', forget);
    // A paused stream does not tell that the other side has closed.
    socket.resume();
    this.#rest();
    return socket;
  }

  #rest(): void {
    clearTimeout(this.#idleTimer);
    this.#lastUse = Date.now();
    if (this.#socket === undefined) return;
    this.#socket.unref();
    this.#idleTimer = setTimeout(() => this.#drop(), this.#options.idleMs).unref();
  }

  #drop(): void {
    clearTimeout(this.#idleTimer);
    this.#socket?.destroy();
    this.#socket = undefined;
  }
}

function connectOnce(target: NetConnectOpts, name: string, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(target);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(new TpmTransportError('unreachable', `cannot reach ${name}: ${explain(error)}`, error));
    };
    const timer = setTimeout(() => fail(new Error(`no connection in ${timeoutMs} ms`)), timeoutMs);
    socket.once('error', fail);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}

function explain(error: Error): string {
  const code = codeOf(error);
  if (code === 'ENOENT') return 'there is no such socket; is swtpm running with this path?';
  if (code === 'ECONNREFUSED') return 'nothing listens there; is swtpm running?';
  if (code === 'EACCES') return 'this user may not open the socket; check the owner and mode of the file';
  return error.message;
}

function codeOf(error: unknown): string {
  const source = error instanceof TpmTransportError ? error.cause : error;
  return source instanceof Error && 'code' in source ? String(source.code) : '';
}
