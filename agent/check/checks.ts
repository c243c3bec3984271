import type { AgentConfig } from '../config.ts';
import type { AgentPorts } from '../ports.ts';
import { checkMaterial, checkState } from './directories.ts';
import { checkContact, checkListen } from './network.ts';
import type { CheckResult } from './result.ts';
import { checkRegistrar } from './servers.ts';
import { checkTpm } from './tpm.ts';

/** All that must be right on a node, each looked at whatever the others give. Changes nothing. */
export async function runChecks(
  config: AgentConfig,
  ports: Pick<AgentPorts, 'now' | 'openTpm'>,
): Promise<readonly CheckResult[]> {
  return [
    ...(await checkTpm(config, ports)),
    ...(await checkRegistrar(config, ports.now)),
    await checkListen(config.listen),
    await checkContact(config.contact),
    await checkState(config.stateDirectory),
    ...(await checkMaterial(config.material)),
  ];
}
