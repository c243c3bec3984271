import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync } from 'node:fs';
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../../e2e/support/until.ts';
import { GuestShell } from './guest-shell.ts';
import type { Image } from './image.ts';
import type { HostPrograms } from './programs.ts';

/** Under emulation, on a machine that is busy with other things. */
const BOOT_MS = 180_000;
const SHOWN_LINES = 40;
/** What the firmware measures of the kernel depends on it. */
const MEMORY = '1024M';

/** The command line as it is given; the firmware appends the name of the initrd. */
const KERNEL_ARGUMENTS =
  'console=ttyS0 loglevel=4 panic=-1 random.trust_cpu=on ima_policy=tcb ima_hash=sha256 ima_template=ima-ng';
export const COMMAND_LINE = `${KERNEL_ARGUMENTS} initrd=initrd`;

export interface MachineOptions {
  readonly programs: HostPrograms;
  readonly image: Image;
  /** Has the state of its TPM in `tpm`; sockets and logs come there. */
  readonly directory: string;
  /** Tar archive that the machine finds as its second disk. */
  readonly settings: string;
  /** Port of loopback that leads to its port 9002. */
  readonly port: number;
}

/** A machine of QEMU, emulated, with UEFI firmware and a TPM of its own. The kernel ends it when we end. */
export class Machine {
  readonly #tpm: ChildProcess;
  readonly #qemu: ChildProcess;
  readonly #directory: string;
  readonly #shell: GuestShell;

  private constructor(directory: string, tpm: ChildProcess, qemu: ChildProcess, shell: GuestShell) {
    this.#directory = directory;
    this.#tpm = tpm;
    this.#qemu = qemu;
    this.#shell = shell;
  }

  static async start(options: MachineOptions): Promise<Machine> {
    const { directory, image, programs } = options;
    await copyFile(programs.firmware.variables, join(directory, 'variables.fd'));
    const start = starter(options);
    const tpm = start('swtpm', tpmArguments(directory));
    let qemu: ChildProcess | undefined;
    try {
      await until('swtpm listens', () => existsSync(join(directory, 'tpm.sock')), 10_000);
      qemu = start('qemu-system-x86_64', qemuArguments(options));
      const shell = await GuestShell.connect(join(directory, 'shell.sock'));
      return new Machine(directory, tpm, qemu, shell);
    } catch (cause) {
      if (qemu) await end(qemu);
      await end(tpm);
      const said = await tail(join(directory, 'qemu.log'));
      throw new Error(`QEMU did not start with ${image.kernel}:\n${said}`, { cause });
    }
  }

  /** Until its own programs run. */
  async booted(): Promise<void> {
    const running = () => this.#qemu.exitCode === null && this.#qemu.signalCode === null;
    await this.#shell.untilReady(BOOT_MS, running);
  }

  /** Runs a command of one line in the machine. @throws {Error} when it fails, with what it wrote */
  async run(command: string): Promise<string> {
    const { output, code } = await this.#shell.run(command);
    if (code !== 0) throw new Error(`in the machine, ${command} ended with ${code}: ${output}`);
    return output;
  }

  async succeeds(command: string): Promise<boolean> {
    return (await this.#shell.run(command)).code === 0;
  }

  /** The end of what it said on its console, for a test that failed. */
  async lastWords(): Promise<string> {
    const parts = ['qemu.log', 'console.log'].map((name) => tail(join(this.#directory, name)));
    return `--- the machine's console\n${(await Promise.all(parts)).join('\n')}`;
  }

  async close(): Promise<void> {
    this.#shell.close();
    await end(this.#qemu);
    await end(this.#tpm);
  }
}

function starter({ directory, programs }: MachineOptions) {
  return (program: 'swtpm' | 'qemu-system-x86_64', args: readonly string[]): ChildProcess => {
    const output = openSync(join(directory, 'qemu.log'), 'a', 0o600);
    const all = ['--pdeathsig', 'KILL', '--', programs.find(program), ...args];
    return spawn(programs.find('setpriv'), all, { stdio: ['ignore', output, output] });
  };
}

function tpmArguments(directory: string): string[] {
  return [
    ...['socket', '--tpm2', '--tpmstate', `dir=${join(directory, 'tpm')},mode=0600`],
    // QEMU passes the other channel through this one.
    ...['--ctrl', `type=unixio,path=${join(directory, 'tpm.sock')},mode=0600`],
  ];
}

/** KVM is not asked for: where it is there and does not work, a machine hangs without a word. */
function qemuArguments({ directory, image, settings, programs, port }: MachineOptions): string[] {
  const at = (name: string) => join(directory, name);
  const flash = (unit: number, file: string, flags = '') =>
    `if=pflash,format=raw,unit=${unit}${flags},file=${file}`;
  return [
    ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-machine', 'q35', '-smp', '1', '-m', MEMORY],
    ...['-display', 'none', '-monitor', 'none', '-no-reboot', '-nodefaults'],
    ...['-drive', flash(0, programs.firmware.code, ',readonly=on'), '-drive', flash(1, at('variables.fd'))],
    ...['-chardev', `socket,id=tpm,path=${at('tpm.sock')}`, '-tpmdev', 'emulator,id=tpm0,chardev=tpm'],
    ...['-device', 'tpm-crb,tpmdev=tpm0'],
    ...['-drive', `if=none,id=root,format=raw,cache=unsafe,file=${image.disk}`],
    ...['-device', 'virtio-blk-pci,drive=root'],
    ...['-drive', `if=none,id=settings,format=raw,readonly=on,file=${settings}`],
    ...['-device', 'virtio-blk-pci,drive=settings'],
    ...['-netdev', `user,id=net,hostfwd=tcp:127.0.0.1:${port}-:9002`],
    // Without the card's boot ROM, which would be measured.
    ...['-device', 'virtio-net-pci,netdev=net,romfile='],
    ...['-serial', `file:${at('console.log')}`, '-serial', `unix:${at('shell.sock')},server=on,wait=off`],
    ...['-kernel', image.kernel, '-initrd', image.initrd, '-append', KERNEL_ARGUMENTS],
  ];
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

async function tail(file: string): Promise<string> {
  const text = await readFile(file, 'latin1').catch(() => '');
  // Terminal sequences of the firmware.
  const plain = text.replace(new RegExp(`${String.fromCharCode(27)}\\[[0-9;?=]*[A-Za-z]`, 'g'), '');
  return plain.split(/\r?\n/).slice(-SHOWN_LINES).join('\n');
}
