import { open, readFile, stat } from 'node:fs/promises';
import { ResponseAssembler } from './response-assembler.ts';
import { checkCommand, MAX_TPM_BUFFER_BYTES, type TpmTransport, TpmTransportError } from './transport.ts';

/** The part of a FileHandle that we use. Positions are always null: a TPM is no file. */
export interface DeviceHandle {
  write(bytes: Uint8Array, offset: number, length: number, position: null): Promise<{ bytesWritten: number }>;
  read(bytes: Uint8Array, offset: number, length: number, position: null): Promise<{ bytesRead: number }>;
  close(): Promise<void>;
}

export interface DeviceTransportOptions {
  /** How long one command may take. The kernel gives up by itself, later, with its own error. */
  readonly responseTimeoutMs?: number;
  readonly openDevice?: (path: string) => Promise<DeviceHandle>;
}

const RESPONSE_TIMEOUT_MS = 180_000;

/**
 * A TPM character device: one write of the whole command, then reads until the response is whole.
 * After a failure the device is opened again, which at /dev/tpmrm0 also frees all that was loaded.
 */
export class DeviceTransport implements TpmTransport {
  readonly hasResourceManager: boolean;
  readonly #path: string;
  readonly #timeoutMs: number;
  readonly #openDevice: (path: string) => Promise<DeviceHandle>;
  #handle: DeviceHandle | undefined;
  #closed = false;

  constructor(path: string, options: DeviceTransportOptions = {}) {
    this.#path = path;
    this.#timeoutMs = options.responseTimeoutMs ?? RESPONSE_TIMEOUT_MS;
    this.#openDevice = options.openDevice ?? ((device) => open(device, 'r+'));
    this.hasResourceManager = /\/tpmrm\d+$/.test(path);
  }

  /** Opens the device. @throws {TpmTransportError} `unreachable`, saying what to do about it */
  async probe(): Promise<void> {
    await this.#opened();
  }

  async send(command: Uint8Array): Promise<Uint8Array> {
    checkCommand(command);
    if (this.#closed) throw new TpmTransportError('closed', `${this.#path} was closed by us`);
    const handle = await this.#opened();
    const exchange = this.#exchange(handle, command);
    try {
      return await this.#inTime(exchange);
    } catch (error) {
      this.#handle = undefined;
      // A read that blocks in the kernel cannot be cancelled: close once it is over, without waiting.
      void exchange.catch(() => {}).then(() => handle.close().catch(() => {}));
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  async #opened(): Promise<DeviceHandle> {
    if (this.#handle !== undefined) return this.#handle;
    try {
      this.#handle = await this.#openDevice(this.#path);
      return this.#handle;
    } catch (error) {
      throw new TpmTransportError('unreachable', await explainOpenError(this.#path, error), error);
    }
  }

  async #exchange(handle: DeviceHandle, command: Uint8Array): Promise<Uint8Array> {
    try {
      const { bytesWritten } = await handle.write(command, 0, command.length, null);
      if (bytesWritten !== command.length) {
        throw new TpmTransportError(
          'protocol',
          `${this.#path} took ${bytesWritten} of ${command.length} bytes`,
        );
      }
      return await this.#readResponse(handle);
    } catch (error) {
      if (error instanceof TpmTransportError) throw error;
      throw new TpmTransportError('closed', `${this.#path} failed: ${messageOf(error)}`, error);
    }
  }

  async #readResponse(handle: DeviceHandle): Promise<Uint8Array> {
    const assembler = new ResponseAssembler();
    for (;;) {
      const piece = new Uint8Array(MAX_TPM_BUFFER_BYTES);
      const { bytesRead } = await handle.read(piece, 0, piece.length, null);
      if (bytesRead === 0) {
        throw new TpmTransportError(
          'protocol',
          `${this.#path} ended after ${assembler.received} bytes of a response`,
        );
      }
      const response = assembler.push(piece.subarray(0, bytesRead));
      if (response !== undefined) return response;
    }
  }

  async #inTime(exchange: Promise<Uint8Array>): Promise<Uint8Array> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const message = `${this.#path} gave no response in ${this.#timeoutMs} ms`;
      timer = setTimeout(() => reject(new TpmTransportError('timeout', message)), this.#timeoutMs);
    });
    try {
      return await Promise.race([exchange, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

async function explainOpenError(path: string, error: unknown): Promise<string> {
  switch (error instanceof Error && 'code' in error ? error.code : '') {
    case 'ENOENT':
    case 'ENODEV':
    case 'ENXIO':
      return `there is no TPM at ${path}; check that it is switched on in the firmware and that its kernel driver is loaded`;
    case 'EACCES':
    case 'EPERM':
      return `this user may not open ${path}; ${await membershipAdvice(path)}`;
    case 'EBUSY':
      return `another program has ${path} open; use the resource manager, /dev/tpmrm0, which many can share`;
    default:
      return `cannot open ${path}: ${messageOf(error)}`;
  }
}

async function membershipAdvice(path: string): Promise<string> {
  const group = await groupOf(path).catch(() => undefined);
  if (group === undefined) return 'run as root, or as a user that may read and write it';
  return `it belongs to group ${group}: run as root, or add the user to that group (usermod -aG ${group} USER)`;
}

async function groupOf(path: string): Promise<string> {
  const { gid } = await stat(path);
  const groups = await readFile('/etc/group', 'utf8');
  const line = groups.split('\n').find((entry) => entry.split(':')[2] === String(gid));
  return line?.split(':')[0] ?? String(gid);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
