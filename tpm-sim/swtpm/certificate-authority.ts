import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { findProgram } from './programs.ts';

/**
 * Writes the configuration that makes swtpm_setup sign EK certificates with a CA that lives in
 * `caDir`, instead of the machine's own in /var/lib. The CA itself is made by the first provisioning.
 *
 * @returns path of the file for `swtpm_setup --config`
 */
export async function writeCaConfig(caDir: string): Promise<string> {
  const dir = resolve(caDir);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const files = {
    'localca.conf': [
      `statedir = ${dir}`,
      `signingkey = ${join(dir, 'signkey.pem')}`,
      `issuercert = ${join(dir, 'issuercert.pem')}`,
      `certserial = ${join(dir, 'certserial')}`,
    ],
    'localca.options': [
      '--platform-manufacturer Assay',
      '--platform-version 1',
      '--platform-model SoftwareTPM',
    ],
    'setup.conf': [
      `create_certs_tool = ${findProgram('swtpm_localca')}`,
      `create_certs_tool_config = ${join(dir, 'localca.conf')}`,
      `create_certs_tool_options = ${join(dir, 'localca.options')}`,
      'active_pcr_banks = sha256',
    ],
  };
  for (const [name, lines] of Object.entries(files)) {
    await writeFile(join(dir, name), `${lines.join('\n')}\n`, { mode: 0o600 });
  }
  return join(dir, 'setup.conf');
}

export interface SwtpmCaCertificates {
  /** The self-signed root, PEM: what a registrar must trust to accept the EK certificates. */
  readonly root: string;
  /** The intermediate that signs EK certificates, PEM. */
  readonly issuer: string;
}

/** Certificates of the CA in `caDir`, once at least one TPM was provisioned with it. */
export async function swtpmCaCertificates(caDir: string): Promise<SwtpmCaCertificates> {
  const [root, issuer] = await Promise.all([
    readFile(join(caDir, 'swtpm-localca-rootca-cert.pem'), 'utf8'),
    readFile(join(caDir, 'issuercert.pem'), 'utf8'),
  ]);
  return { root, issuer };
}
