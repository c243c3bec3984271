import { execFile } from 'node:child_process';
import { copyFile, mkdir } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { AssayError } from '../../core/errors.ts';
import { writeCaConfig } from './certificate-authority.ts';
import { findProgram } from './programs.ts';

const run = promisify(execFile);

/** swtpm keeps all that survives a power cycle in this one file of its state directory. */
const PERMANENT_STATE = 'tpm2-00.permall';
const SETUP_TIMEOUT_MS = 60_000;

export type PcrBankName = 'sha1' | 'sha256' | 'sha384' | 'sha512';

export interface ProvisionOptions {
  /** Directory of the CA that signs the EK certificates; made when it is not there. */
  readonly ca: string;
  /** Goes into the subject of the EK certificates. */
  readonly vmId?: string;
  /** Banks to allocate; SHA-256 alone unless said. */
  readonly pcrBanks?: readonly PcrBankName[];
}

/**
 * Makes a new TPM in `dir`: seeds, EKs, and EK certificates in NV (RSA-2048 at 0x01c00002, P-384 at
 * 0x01c00016). Takes about a second; `copySwtpmState` is the fast way to more of them.
 *
 * @throws {AssayError} `unavailable` when swtpm_setup is missing or fails, with the end of its output
 */
export async function provisionSwtpm(dir: string, options: ProvisionOptions): Promise<void> {
  const setup = findProgram('swtpm_setup');
  const config = await writeCaConfig(options.ca);
  const state = resolve(dir);
  await mkdir(state, { recursive: true, mode: 0o700 });
  const banks = (options.pcrBanks ?? ['sha256']).join(',');
  const flags = ['--tpm2', '--create-ek-cert', '--lock-nvram', '--overwrite'];
  const values = ['--config', config, '--tpmstate', state, '--pcr-banks', banks];
  const identity = options.vmId === undefined ? [] : ['--vmid', options.vmId];
  // certtool, which swtpm_localca runs, may be in a directory that PATH of a service does not have.
  const PATH = [process.env.PATH, dirname(setup), '/usr/bin', '/bin'].join(delimiter);
  try {
    await run(setup, [...flags, ...values, ...identity], {
      timeout: SETUP_TIMEOUT_MS,
      env: { ...process.env, PATH },
    });
  } catch (error) {
    throw new AssayError('unavailable', `swtpm_setup could not make a TPM in ${state}: ${lastLines(error)}`, {
      cause: error,
    });
  }
}

/**
 * Copies a provisioned TPM that is not running (or that nobody writes to): a clone, with the same EK, the
 * same certificates and the same keys.
 */
export async function copySwtpmState(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 });
  await copyFile(join(from, PERMANENT_STATE), join(to, PERMANENT_STATE));
}

function lastLines(error: unknown): string {
  const output = error as { readonly stdout?: unknown; readonly stderr?: unknown };
  const text = `${output.stdout ?? ''}\n${output.stderr ?? ''}`.trim();
  return text === '' ? String(error) : text.split('\n').slice(-5).join(' | ');
}
