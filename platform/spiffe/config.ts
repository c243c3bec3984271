import { resolve } from 'node:path';
import Type, { type Static } from 'typebox';
import { AssayError } from '../../core/errors.ts';
import { parseSpiffeId } from '../../core/spiffe/id.ts';
import { parseEndpoint } from './endpoint.ts';
import type { SvidOrigin } from './x509-source.ts';

const Text = Type.String({ minLength: 1 });

/** Where an X509-SVID of ours comes from: files, or the Workload API. */
export const SvidSection = Type.Object(
  {
    'workload-api': Type.Optional(
      Type.String({ description: 'unix:///path of the socket, or tcp://ADDRESS:PORT' }),
    ),
    id: Type.Optional(Type.String({ description: 'Which SVID of several that the Workload API gives' })),
    certificate: Type.Optional(Text),
    key: Type.Optional(Text),
    bundle: Type.Optional(Text),
  },
  { additionalProperties: false },
);
export type SvidSection = Static<typeof SvidSection>;

/**
 * @param where its place in the configuration, for errors
 * @param directory what its paths are relative to
 * @throws {AssayError} `invalid-config`
 */
export function resolveSvid(section: SvidSection, where: string, directory: string): SvidOrigin {
  const { 'workload-api': endpoint, id, certificate, key, bundle } = section;
  const refuse = (problem: string) => new AssayError('invalid-config', `${where}: ${problem}`);
  const named = [certificate, key, bundle].filter((file) => file !== undefined);
  if (endpoint !== undefined && named.length === 0) {
    try {
      parseEndpoint(endpoint);
      return { workloadApi: endpoint, ...(id === undefined ? {} : { id: parseSpiffeId(id) }) };
    } catch (error) {
      throw error instanceof AssayError ? refuse(error.message) : error;
    }
  }
  if (endpoint !== undefined || id !== undefined || !certificate || !key || !bundle)
    throw refuse(
      'needs either workload-api (and id, where it gives several SVIDs), or certificate, key and bundle',
    );
  const at = (file: string) => resolve(directory, file);
  return { files: { certificate: at(certificate), key: at(key), bundle: at(bundle) } };
}
