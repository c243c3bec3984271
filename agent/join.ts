import { mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { AssayError } from '../core/errors.ts';
import type { NodeSelf } from '../core/messages/enrolment.ts';
import { type AgentConfig, type AgentFlags, loadConfig } from './config.ts';
import { enrolAndRemember, registrationOf, tellTpm } from './enrolled.ts';
import type { OnAgentEvent } from './events.ts';
import { replaceFile } from './files.ts';
import type { AgentPorts } from './ports.ts';
import { loadServiceCa } from './service-ca.ts';
import { createServiceClient } from './service-client.ts';
import { StateStore } from './state-store.ts';
import { loadTlsIdentity } from './tls-identity.ts';

/**
 * Enrols this machine once, for a person who waits: the service CA is recognised first, then the TPM is
 * asked, then the registrar.
 */
export async function joinOnce(
  config: AgentConfig,
  ports: Pick<AgentPorts, 'now' | 'openTpm'>,
  onEvent: OnAgentEvent,
): Promise<NodeSelf> {
  const state = await StateStore.open(config.stateDirectory);
  const ca = await loadServiceCa(config.ca, config.registrar, state);
  const tls = await loadTlsIdentity(state, config.alias, ports.now());
  const tpm = await ports.openTpm({ ...config, state });
  const registrar = createServiceClient({ url: config.registrar, name: 'registrar', ca, identity: tls });
  try {
    tellTpm(tpm, onEvent);
    const registration = registrationOf(config.alias, config.contact, tls);
    // Whoever gives a token now means it.
    if (config.joinToken !== undefined) await state.remove('node.json');
    return await enrolAndRemember({ config, state, tpm, registrar, registration, onEvent });
  } finally {
    await registrar.close();
    await tpm.close();
  }
}

/** Writes what `join` was told as agent.yaml, for a service that runs elsewhere; the join token is not in it. */
export async function writeConfig(file: string, config: AgentConfig, flags: AgentFlags): Promise<void> {
  const { ca } = config;
  const lines: readonly (readonly [string, string | undefined])[] = [
    ['registrar', config.registrar],
    ca.type === 'file' ? ['ca', resolve(ca.path)] : ['ca-pin', `sha256:${ca.sha256}`],
    ['alias', flags.alias],
    ['tpm', flags.tpm],
    ['listen', flags.listen],
    ['contact', flags.contact],
    ['state-directory', absolute(flags.stateDir)],
  ];
  const given = lines.filter((line): line is readonly [string, string] => line[1] !== undefined);
  const text = given.map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`).join('');
  const directory = absolute(flags.materialDir);
  const material = directory === undefined ? '' : `material:\n  directory: ${JSON.stringify(directory)}\n`;
  await mkdir(dirname(file), { recursive: true });
  await replaceFile(file, `# Written by "assay-agent join".\n${text}${material}`, { mode: 0o644 });
}

/**
 * A file that is there is somebody's work: it is left alone, and must name the same servers.
 *
 * @throws {AssayError} `invalid-config` when what joins now is not what the service would run with
 */
export function checkKeptConfig(file: string, config: AgentConfig): void {
  const kept = loadConfig({ file });
  const advice = 'edit or remove it, then join again';
  if (kept.registrar !== config.registrar) {
    const message = `${file} names another registrar (${kept.registrar}) than ${config.registrar}; ${advice}`;
    throw new AssayError('invalid-config', message);
  }
  if (kept.ca.type === 'pin' && config.ca.type === 'pin' && kept.ca.sha256 !== config.ca.sha256) {
    const message = `${file} has another pin (sha256:${kept.ca.sha256}) than sha256:${config.ca.sha256}; ${advice}`;
    throw new AssayError('invalid-config', message);
  }
}

function absolute(path: string | undefined): string | undefined {
  return path === undefined ? undefined : resolve(path);
}
