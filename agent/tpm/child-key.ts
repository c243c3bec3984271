import { parseTpm2bPublic, type TpmtPublic } from '../../core/tpm/public.ts';
import type { TpmChannel } from './channel.ts';
import { create, type KeyBlobs, load } from './commands/object.ts';
import { authorizeEk } from './ek-policy.ts';
import { type EndorsementKey, withEk } from './endorsement.ts';
import type { Tpm } from './tpm.ts';
import { isHandleGone } from './tpm-error.ts';

export interface ChildKeyDependencies {
  readonly tpm: Tpm;
  readonly ek: EndorsementKey;
  readonly blobs: KeyBlobs;
  /** Stay loaded between uses: for a key that is used often. */
  readonly keepLoaded?: boolean;
}

/** Makes a key under the EK. @param template TPM2B_PUBLIC with its size */
export function createChildKey(tpm: Tpm, ek: EndorsementKey, template: Uint8Array): Promise<KeyBlobs> {
  return tpm.use((channel) =>
    withEk(channel, ek, async (handle) =>
      create(channel, { handle, auth: await authorizeEk(channel, ek.public, ek.hierarchyAuth) }, template),
    ),
  );
}

/**
 * A key of this TPM under its EK, kept as blobs and loaded when it is used. Resets of the TPM go
 * unnoticed: what was loaded is loaded again.
 */
export class ChildKey {
  readonly blobs: KeyBlobs;
  readonly public: TpmtPublic;
  readonly tpm: Tpm;
  readonly ek: EndorsementKey;
  readonly #keepLoaded: boolean;
  #loaded: { readonly handle: number; readonly generation: number } | undefined;

  constructor({ tpm, ek, blobs, keepLoaded = false }: ChildKeyDependencies) {
    this.tpm = tpm;
    this.ek = ek;
    this.blobs = blobs;
    this.public = parseTpm2bPublic(blobs.public);
    this.#keepLoaded = keepLoaded;
  }

  /**
   * Gives `work` the handle of the key, within a piece of work on the TPM. `work` runs again when the
   * TPM turns out to have lost the key.
   *
   * @throws {TpmError} `TPM_RC_INTEGRITY` when the blobs are not of this TPM and EK
   */
  async withHandle<T>(channel: TpmChannel, work: (handle: number) => Promise<T>): Promise<T> {
    const handle = this.#handleIfLoaded();
    if (handle !== undefined) {
      try {
        return await work(handle);
      } catch (error) {
        if (!isHandleGone(error)) throw error;
        channel.forget(handle);
      }
    }
    return this.#load(channel, work);
  }

  #handleIfLoaded(): number | undefined {
    return this.#loaded?.generation === this.tpm.generation ? this.#loaded.handle : undefined;
  }

  async #load<T>(channel: TpmChannel, work: (handle: number) => Promise<T>): Promise<T> {
    const handle = await withEk(channel, this.ek, async (parent) => {
      const auth = await authorizeEk(channel, this.ek.public, this.ek.hierarchyAuth);
      return load(channel, { handle: parent, auth }, this.blobs);
    });
    if (this.#keepLoaded) {
      channel.keep(handle);
      this.#loaded = { handle, generation: this.tpm.generation };
      return work(handle);
    }
    try {
      return await work(handle);
    } finally {
      await channel.release(handle);
    }
  }
}
