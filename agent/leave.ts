import { AssayError } from '../core/errors.ts';
import type { AgentConfig } from './config.ts';
import { isMissing } from './files.ts';
import { materialFiles } from './node-material/material-files.ts';
import { StateStore } from './state-store.ts';

/** Destroys everything that makes this machine a node. @returns its node id, to retire */
export async function leave(config: AgentConfig, now: () => Date): Promise<string | undefined> {
  const state = await StateStore.open(config.stateDirectory);
  const nodeId = (await state.readNode())?.nodeId;
  const material = materialFiles({
    directory: config.material.directory,
    owner: undefined,
    nodeId: () => nodeId,
    now,
    destroyKey: () => state.remove('node-ca.json'),
  });
  await material.destroy().catch((error: unknown) => {
    if (!isMissing(error))
      throw new AssayError('unavailable', `could not destroy ${material.path}`, { cause: error });
  });
  for (const name of ['ak.json', 'tls.key', 'tls.crt', 'node.json'] as const) await state.remove(name);
  return nodeId;
}
