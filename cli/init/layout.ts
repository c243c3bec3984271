import { join } from 'node:path';
import type { ServiceName } from '../api.ts';

/** Where everything of an installation is; docs/operations.md says what each file is for. */
export function layoutOf(directory: string) {
  const pki = join(directory, 'pki');
  const admin = join(directory, 'admin');
  const pair = (base: string) => ({ certificate: `${base}.crt`, key: `${base}.key` });
  return {
    directory,
    pki,
    admin,
    config: join(directory, 'assay.yaml'),
    serviceCa: pair(join(pki, 'service-ca')),
    nodeRoot: pair(join(pki, 'node-root')),
    /** The node root, or an issuing CA by its name, in a generation of a rotation. */
    authority: (name: string, generation: '' | '.next' | '.previous') =>
      pair(join(pki, `${name === 'root' ? 'node-root' : `issuing-${name}`}${generation}`)),
    service: (name: ServiceName) => pair(join(pki, name)),
    /** The key by which the verifier signs results and evidence bundles. */
    results: pair(join(pki, 'verifier-results')),
    issuing: (group: string) => pair(join(pki, `issuing-${group}`)),
    adminCredential: pair(join(admin, 'admin')),
    adminCa: join(admin, 'ca.crt'),
    clientProfile: join(admin, 'client.yaml'),
  };
}

export type Layout = ReturnType<typeof layoutOf>;
export type KeyedFiles = Layout['serviceCa'];
