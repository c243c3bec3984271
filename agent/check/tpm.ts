import { X509Certificate } from 'node:crypto';
import { access, constants, stat } from 'node:fs/promises';
import type { AgentConfig } from '../config.ts';
import type { KeyStore } from '../node-tpm.ts';
import type { NodeTpm } from '../node-tpm-port.ts';
import type { AgentPorts } from '../ports.ts';
import { type CheckResult, fail, ok, systemCode, warn, why } from './result.ts';

/** Device, EK certificate, AK and a real quote, with keys that are thrown away afterwards. */
export async function checkTpm(
  config: AgentConfig,
  { openTpm, now }: Pick<AgentPorts, 'openTpm' | 'now'>,
): Promise<CheckResult[]> {
  const device = await checkDevice(config.tpm);
  if (device.outcome === 'fail') return [device];
  let tpm: NodeTpm;
  try {
    tpm = await openTpm({ ...config, state: memoryStore() });
  } catch (error) {
    return [
      fail(
        'tpm',
        why(error),
        'look at dmesg and at the firmware setup: is the TPM enabled and owned by nobody else?',
      ),
    ];
  }
  try {
    const answer = ok('tpm', `${config.tpm} answers`);
    return [
      answer,
      checkEkCertificate(tpm, now()),
      ok('ak', `made an ${tpm.ak.algorithm} attestation key`),
      await checkQuote(tpm, config),
    ];
  } finally {
    await tpm.close();
  }
}

async function checkDevice(address: string): Promise<CheckResult> {
  const path = /^device:(\/.+)$/.exec(address)?.[1];
  if (path === undefined) return ok('tpm', address);
  try {
    if (!(await stat(path)).isCharacterDevice()) {
      return fail('tpm', `${path} is no device`, 'set "tpm" to device:/dev/tpmrm0');
    }
    await access(path, constants.R_OK | constants.W_OK);
    return ok('tpm', path);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT') {
      const advice =
        'enable the TPM (or fTPM/PTT) in the firmware setup; in a virtual machine add a vTPM; then modprobe tpm_tis or tpm_crb';
      return fail('tpm', `there is no ${path}`, advice);
    }
    if (code === 'EACCES' || code === 'EPERM') {
      return fail(
        'tpm',
        `this user may not use ${path}`,
        'run as root, or add the user to the group tss: usermod -aG tss USER',
      );
    }
    return fail('tpm', `${path}: ${why(error)}`, 'set "tpm" to device:/dev/tpmrm0');
  }
}

function checkEkCertificate({ ek }: NodeTpm, now: Date): CheckResult {
  const [certificate] = ek.certificates;
  if (certificate === undefined) {
    const advice = `import its hash into the inventory (ek_sha256 ${ek.sha256}), or let a person approve the node`;
    return warn('ek', `the TPM has no certificate for its ${ek.template} endorsement key`, advice);
  }
  try {
    const { issuer, validTo } = new X509Certificate(certificate);
    const by = issuer.replaceAll('\n', ', ');
    if (new Date(validTo) <= now) {
      const advice = `the registrar refuses it: import its hash into the inventory (ek_sha256 ${ek.sha256}), or set this machine's clock`;
      return warn('ek', `the EK certificate by ${by} was valid until ${validTo}`, advice);
    }
    return ok('ek', `${ek.template}, certificate by ${by}, valid until ${validTo}; sha256 ${ek.sha256}`);
  } catch (error) {
    // Some manufacturers' certificates are more than OpenSSL takes; the registrar knows them by name.
    const advice = 'the registrar decides; "assay trust check" on the server says whether it accepts it';
    return warn('ek', `the EK certificate is not what OpenSSL reads: ${why(error)}`, advice);
  }
}

async function checkQuote(tpm: NodeTpm, { pcrBank }: AgentConfig): Promise<CheckResult> {
  try {
    await tpm.quote({
      nonce: new TextEncoder().encode('check'),
      bank: pcrBank,
      pcrs: [0],
      binding: undefined,
    });
    return ok('quote', `the TPM quotes its ${pcrBank} bank`);
  } catch (error) {
    const advice = `enable the ${pcrBank} bank in the firmware setup, or set "pcr-bank" to one that the TPM has`;
    return fail('quote', why(error), advice);
  }
}

/** Keys of a check are not kept. */
function memoryStore(): KeyStore {
  return {
    readAk: async () => undefined,
    readNodeCa: async () => undefined,
    writeAk: async () => {},
    writeNodeCa: async () => {},
    remove: async () => {},
  };
}
