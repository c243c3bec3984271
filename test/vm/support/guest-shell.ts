import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const CONNECT_MS = 10_000;
const COMMAND_MS = 60_000;

/** Commands in the machine, by its second serial port: a line `NUMBER COMMAND` goes in, its output and `assay-shell NUMBER CODE` come out. */
export class GuestShell {
  readonly #socket: Socket;
  #received = '';
  #number = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    // One byte is one character: the firmware writes there too.
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#received += text;
    });
    socket.on('error', () => socket.destroy());
  }

  /** As soon as the machine has the port; before that nothing may be sent, since the firmware would read it. */
  static async connect(path: string): Promise<GuestShell> {
    const deadline = Date.now() + CONNECT_MS;
    for (;;) {
      const socket = connect(path);
      try {
        await once(socket, 'connect');
        return new GuestShell(socket);
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await sleep(50);
      }
    }
  }

  async untilReady(timeoutMs: number, isRunning: () => boolean): Promise<void> {
    await this.#until('ready', /\nassay-shell ready\n/, timeoutMs, isRunning);
  }

  /** Of a command in one line: what it wrote, and its exit code. */
  async run(command: string): Promise<{ readonly output: string; readonly code: number }> {
    this.#number += 1;
    this.#received = '';
    this.#socket.write(`${this.#number} ${command}\n`);
    const end = new RegExp(`\\nassay-shell ${this.#number} (\\d+)\\n`);
    const found = await this.#until(command, end, COMMAND_MS);
    const output = Buffer.from(this.#received.slice(0, found.index), 'latin1').toString('utf8');
    return { output: output.trimEnd(), code: Number(found[1]) };
  }

  close(): void {
    this.#socket.destroy();
  }

  async #until(
    what: string,
    pattern: RegExp,
    timeoutMs: number,
    isRunning = () => true,
  ): Promise<RegExpExecArray> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const found = pattern.exec(this.#received);
      if (found) return found;
      if (!isRunning() || this.#socket.destroyed) throw new Error(`the machine ended before: ${what}`);
      if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms in the machine: ${what}`);
      await sleep(50);
    }
  }
}
