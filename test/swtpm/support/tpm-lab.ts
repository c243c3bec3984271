import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tpm } from '../../../agent/tpm/tpm.ts';
import { openTransport } from '../../../agent/tpm/transport/open.ts';
import type { SocketTransportOptions } from '../../../agent/tpm/transport/socket.ts';
import type { TpmTransport } from '../../../agent/tpm/transport/transport.ts';
import {
  type SwtpmCaCertificates,
  swtpmCaCertificates,
} from '../../../tpm-sim/swtpm/certificate-authority.ts';
import { type RunningSwtpm, type StartOptions, startSwtpm } from '../../../tpm-sim/swtpm/process.ts';
import { copySwtpmState, type PcrBankName, provisionSwtpm } from '../../../tpm-sim/swtpm/provision.ts';

export interface LabTpm {
  readonly swtpm: RunningSwtpm;
  readonly tpm: Tpm;
  /** Directory of the TPM's state. */
  readonly state: string;
  /** Codes of the commands that went to the TPM since the last call. */
  takeCommands(): number[];
}

/** Software TPMs for one test file: made once, copied for each test, all gone after `close`. */
export class TpmLab {
  readonly #folder: string;
  readonly #running: { close(): Promise<void> }[] = [];
  #count = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async open(pcrBanks: readonly PcrBankName[] = ['sha1', 'sha256', 'sha384']): Promise<TpmLab> {
    const lab = new TpmLab(await mkdtemp(join(tmpdir(), 'lab-')));
    await provisionSwtpm(lab.path('golden'), { ca: lab.path('ca'), vmId: 'lab', pcrBanks });
    return lab;
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  caCertificates(): Promise<SwtpmCaCertificates> {
    return swtpmCaCertificates(this.path('ca'));
  }

  /** A running copy of the TPM: all copies have the same EK. */
  async start(
    options: StartOptions = { transport: 'unix' },
    transportOptions: SocketTransportOptions = {},
  ): Promise<LabTpm> {
    this.#count += 1;
    const state = this.path(`tpm-${this.#count}`);
    await copySwtpmState(this.path('golden'), state);
    const swtpm = await startSwtpm(state, options);
    const recorder = new RecordingTransport(await openTransport(swtpm.address, transportOptions));
    const tpm = new Tpm({ transport: recorder });
    this.#running.push({ close: () => tpm.close().catch(() => {}) }, { close: () => swtpm.kill() });
    return { swtpm, tpm, state, takeCommands: () => recorder.commands.splice(0) };
  }

  async stopAll(): Promise<void> {
    for (const running of this.#running.splice(0)) await running.close();
  }

  async close(): Promise<void> {
    await this.stopAll();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

class RecordingTransport implements TpmTransport {
  readonly commands: number[] = [];
  readonly #inner: TpmTransport;

  constructor(inner: TpmTransport) {
    this.#inner = inner;
  }

  send(command: Uint8Array): Promise<Uint8Array> {
    this.commands.push(Buffer.from(command).readUInt32BE(6));
    return this.#inner.send(command);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
