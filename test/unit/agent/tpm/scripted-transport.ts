import type { TpmTransport } from '../../../../agent/tpm/transport/transport.ts';
import { Writer } from '../../../../core/bytes/writer.ts';

type Answer = Uint8Array | number | Error;

/** A TPM that answers each command with what the script says next, and remembers the commands. */
export class ScriptedTransport implements TpmTransport {
  readonly commands: Uint8Array[] = [];
  readonly hasResourceManager: boolean;
  readonly #answer: (code: number, command: Uint8Array) => Answer;

  constructor(answer: (code: number, command: Uint8Array) => Answer, hasResourceManager = true) {
    this.#answer = answer;
    this.hasResourceManager = hasResourceManager;
  }

  get codes(): number[] {
    return this.commands.map((command) => Buffer.from(command).readUInt32BE(6));
  }

  async send(command: Uint8Array): Promise<Uint8Array> {
    this.commands.push(command);
    const answer = this.#answer(Buffer.from(command).readUInt32BE(6), command);
    if (answer instanceof Error) throw answer;
    return typeof answer === 'number' ? responseOf(new Uint8Array(), answer) : answer;
  }

  async close(): Promise<void> {}
}

/** A response without sessions. */
export function responseOf(body: Uint8Array, responseCode = 0): Uint8Array {
  return new Writer()
    .u16(0x8001)
    .u32(10 + body.length)
    .u32(responseCode)
    .raw(body)
    .bytes();
}

/** A response to a command with sessions; its authorisation area is left empty. */
export function sessionResponseOf(parameters: Uint8Array): Uint8Array {
  const body = new Writer().sized32(parameters).bytes();
  return new Writer()
    .u16(0x8002)
    .u32(10 + body.length)
    .u32(0)
    .raw(body)
    .bytes();
}
