import { AssayError } from '../../core/errors.ts';
import { parseListen } from '../../platform/config.ts';
import { type SpiffeAccess, spiffeRoles } from '../../platform/http/spiffe-listener.ts';
import type { Lifecycle } from '../../platform/lifecycle.ts';
import type { Logger } from '../../platform/logging.ts';
import { resolveSvid } from '../../platform/spiffe/config.ts';
import { openX509Source } from '../../platform/spiffe/x509-source.ts';
import type { ServeConfig } from './config.ts';
import type { Served } from './names.ts';

/**
 * How each service is reached with SVIDs, by the section `spiffe` of assay.yaml.
 *
 * @throws {AssayError} `invalid-config`
 */
export function openSpiffe(
  { spiffe }: Pick<ServeConfig, 'spiffe'>,
  directory: string,
  logger: Logger,
  parts: Lifecycle,
): (service: Served) => { spiffe?: SpiffeAccess } {
  if (!spiffe) return () => ({});
  const { svid, listen, admins = [], viewers = [] } = spiffe;
  const roleOf = rolesFrom(admins, viewers);
  const source = openX509Source(resolveSvid(svid, 'spiffe.svid', directory), logger);
  parts.own('SVID', source);
  return (service) => {
    const address = listen[service];
    if (address === undefined) return {};
    return { spiffe: { source, roleOf, listen: parseListen(address) } };
  };
}

function rolesFrom(admin: readonly string[], viewer: readonly string[]): SpiffeAccess['roleOf'] {
  try {
    return spiffeRoles({ admin, viewer });
  } catch (error) {
    if (!(error instanceof AssayError)) throw error;
    throw new AssayError('invalid-config', `spiffe.admins, spiffe.viewers: ${error.message}`);
  }
}
