import { AK_TEMPLATES } from '../../core/tpm/attestation-key.ts';
import type { Credential } from '../../core/tpm/credential.ts';
import { marshalTpm2bPublic } from '../../core/tpm/public.ts';
import { ChildKey, createChildKey } from './child-key.ts';
import { activateCredential } from './commands/attestation.ts';
import type { KeyBlobs } from './commands/object.ts';
import { authorizeEk } from './ek-policy.ts';
import { type EndorsementKey, withEk } from './endorsement.ts';
import type { Tpm } from './tpm.ts';

export type AkAlgorithm = keyof typeof AK_TEMPLATES;

/** Makes an attestation key under the EK. The caller stores the blobs. */
export function createAk(tpm: Tpm, ek: EndorsementKey, algorithm: AkAlgorithm): Promise<KeyBlobs> {
  return createChildKey(tpm, ek, marshalTpm2bPublic(AK_TEMPLATES[algorithm]));
}

/** The attestation key of a node. It stays loaded, since it is used for every quote. */
export class AttestationKey extends ChildKey {
  constructor(tpm: Tpm, ek: EndorsementKey, blobs: KeyBlobs) {
    super({ tpm, ek, blobs, keepLoaded: true });
  }

  /**
   * The secret in a credential that was made for this AK and this EK.
   *
   * @throws {TpmError} when it was made for others; which response code that gives differs between TPMs
   */
  activate(credential: Credential): Promise<Uint8Array> {
    const { ek } = this;
    return this.tpm.use((channel) =>
      this.withHandle(channel, (ak) =>
        withEk(channel, ek, async (handle) => {
          const auth = await authorizeEk(channel, ek.public, ek.hierarchyAuth);
          return activateCredential(channel, ak, { handle, auth }, credential);
        }),
      ),
    );
  }
}
