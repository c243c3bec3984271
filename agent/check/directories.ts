import { access, constants, readFile, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { MaterialConfig } from '../config.ts';
import { findMount, isInMemory } from '../node-material/tmpfs.ts';
import { resolveOwner } from '../owner.ts';
import { type CheckResult, fail, ok, systemCode, warn, why } from './result.ts';

/** The state directory keeps a TLS key: it must be ours, and closed to others. */
export async function checkState(directory: string): Promise<CheckResult> {
  try {
    const { mode } = await stat(directory);
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
    if ((mode & 0o077) === 0) return ok('state', `${directory} can be used`);
    return fail('state', `${directory} is open to other users`, `chmod 700 ${directory}`);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return await checkParent(directory);
    return fail(
      'state',
      `${directory} cannot be used: ${why(error)}`,
      'run this as the user of the service, or correct its owner',
    );
  }
}

/** Directory, memory file system and owner of node.pem. */
export async function checkMaterial(config: MaterialConfig): Promise<CheckResult[]> {
  return [await checkPlace(config.directory), await checkOwner(config)];
}

async function checkPlace(directory: string): Promise<CheckResult> {
  try {
    const path = await realpath(directory).catch(() => realpath(dirname(directory)));
    await access(path, constants.W_OK | constants.X_OK);
    const mount = findMount(await readFile('/proc/self/mountinfo', 'utf8'), path);
    if (isInMemory(mount)) return ok('material', `${directory} is on ${mount?.type}`);
    const message = `${directory} is on ${mount?.type ?? 'an unknown file system'}, not on tmpfs: private keys reach a disk`;
    return warn('material', message, 'set material.directory to a place below /run');
  } catch (error) {
    return fail(
      'material',
      `${directory} cannot be used: ${why(error)}`,
      'create it for the user of the service (packaging/systemd has a tmpfiles.d file)',
    );
  }
}

async function checkOwner({ user, group }: MaterialConfig): Promise<CheckResult> {
  try {
    const owner = await resolveOwner({ user, group });
    if (owner === undefined) return ok('material', 'node.pem belongs to the user of the service');
    const isOther = owner.uid !== process.getuid?.();
    if (isOther && process.getuid?.() !== 0) {
      return fail(
        'material',
        `only root can give node.pem to user ${user}`,
        'run the service as root or with CAP_CHOWN, or as that user',
      );
    }
    return ok('material', `node.pem will belong to ${owner.uid}:${owner.gid}`);
  } catch (error) {
    return fail('material', why(error), 'correct material.user and material.group');
  }
}

async function checkParent(directory: string): Promise<CheckResult> {
  try {
    await access(dirname(directory), constants.W_OK | constants.X_OK);
    return ok('state', `${directory} will be made`);
  } catch (error) {
    return fail(
      'state',
      `${directory} does not exist and cannot be made: ${why(error)}`,
      `install -d -m 700 ${directory}`,
    );
  }
}
