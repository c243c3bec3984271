import { hash } from 'node:crypto';
import { fromBase64, toBase64 } from '../core/bytes/encoding.ts';
import { nodeIdOf } from '../core/identity.ts';
import { parseCredentialBlob } from '../core/tpm/credential.ts';
import { spkiOf } from '../core/tpm/key.ts';
import { marshalTpm2bPublic } from '../core/tpm/public.ts';
import type { NodeCaSigner, NodeTpm } from './node-tpm-port.ts';
import type { StateStore, StoredKey } from './state-store.ts';
import { type AkAlgorithm, AttestationKey, createAk } from './tpm/attestation-key.ts';
import type { KeyBlobs } from './tpm/commands/object.ts';
import { type EkPreference, type EndorsementKey, findEndorsementKey } from './tpm/endorsement.ts';
import { createNodeCaKey, NodeCaKey } from './tpm/node-ca-key.ts';
import { Quoter } from './tpm/quote.ts';
import { Tpm } from './tpm/tpm.ts';
import { TpmError } from './tpm/tpm-error.ts';

/** Where key blobs are kept. */
export type KeyStore = Pick<StateStore, 'readAk' | 'writeAk' | 'readNodeCa' | 'writeNodeCa' | 'remove'>;

export interface NodeTpmOptions {
  /** What openTransport takes. */
  readonly tpm: string;
  readonly endorsementKey: EkPreference;
  readonly attestationKey: AkAlgorithm;
  readonly state: KeyStore;
}

/** Keylime's names of what an AK is. */
const ALGORITHM_NAMES = {
  rsa2048: { encAlg: 'rsa2048', signAlg: 'rsassa' },
  ecc256: { encAlg: 'ecc256', signAlg: 'ecdsa' },
} as const satisfies Record<AkAlgorithm, object>;

/** Opens the TPM, finds its EK, and loads the AK or makes one. */
export async function openNodeTpm(options: NodeTpmOptions): Promise<NodeTpm> {
  const tpm = await Tpm.open(options.tpm);
  try {
    const ek = await findEndorsementKey(tpm, { preference: options.endorsementKey });
    const ekSha256 = hash('sha256', spkiOf(ek.public));
    const { ak, created } = await loadOrCreateAk(tpm, ek, ekSha256, options);
    return new OpenNodeTpm({ tpm, ek, ekSha256, ak, created, options });
  } catch (error) {
    await tpm.close().catch(() => {});
    throw error;
  }
}

interface Opened {
  readonly tpm: Tpm;
  readonly ek: EndorsementKey;
  readonly ekSha256: string;
  readonly ak: AttestationKey;
  readonly created: boolean;
  readonly options: NodeTpmOptions;
}

class OpenNodeTpm implements NodeTpm {
  readonly ek: NodeTpm['ek'];
  readonly ak: NodeTpm['ak'];
  readonly encAlg: string;
  readonly signAlg: string;
  readonly quote: NodeTpm['quote'];
  readonly #opened: Opened;
  #nodeCa: NodeCaKey | undefined;

  constructor(opened: Opened) {
    const { ek, ekSha256, ak, created, options } = opened;
    this.#opened = opened;
    this.ek = {
      public: marshalTpm2bPublic(ek.public),
      sha256: ekSha256,
      nodeId: nodeIdOf(spkiOf(ek.public)),
      template: `${ek.slot.template} (${ek.slot.algorithm})`,
      certificates: ek.certificate === undefined ? [] : [ek.certificate, ...ek.chain],
    };
    this.ak = { public: ak.blobs.public, algorithm: options.attestationKey, created };
    ({ encAlg: this.encAlg, signAlg: this.signAlg } = ALGORITHM_NAMES[options.attestationKey]);
    const quoter = new Quoter(ak);
    this.quote = (request) => quoter.quote(request);
  }

  activate(credential: Uint8Array): Promise<Uint8Array> {
    return this.#opened.ak.activate(parseCredentialBlob(credential));
  }

  async nodeCaKey(): Promise<NodeCaSigner> {
    const key = await this.#loadOrCreateNodeCa();
    const { ak } = this.#opened;
    return {
      public: key.blobs.public,
      spki: spkiOf(key.public),
      certify: (nonce) => this.#withNodeCa(key, () => key.certify(ak, nonce)),
      signDigest: (digest) => this.#withNodeCa(key, () => key.sign(digest)),
    };
  }

  async destroyNodeCaKey(): Promise<void> {
    this.#nodeCa = undefined;
    await this.#opened.options.state.remove('node-ca.json');
  }

  close(): Promise<void> {
    return this.#opened.tpm.close();
  }

  async #loadOrCreateNodeCa(): Promise<NodeCaKey> {
    if (this.#nodeCa !== undefined) return this.#nodeCa;
    const { tpm, ek, ekSha256, options } = this.#opened;
    const stored = blobsOf(await options.state.readNodeCa(), ekSha256, 'ecc256');
    const blobs = stored ?? (await createNodeCaKey(tpm, ek));
    if (stored === undefined) await options.state.writeNodeCa(storedKey(blobs, ekSha256, 'ecc256'));
    this.#nodeCa = new NodeCaKey(tpm, ek, blobs);
    return this.#nodeCa;
  }

  /** Blobs that this TPM does not load any more are of no use: the next try makes another key. */
  async #withNodeCa<T>(key: NodeCaKey, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (isForeignBlob(error) && this.#nodeCa === key) await this.destroyNodeCaKey();
      throw error;
    }
  }
}

async function loadOrCreateAk(
  tpm: Tpm,
  ek: EndorsementKey,
  ekSha256: string,
  { attestationKey, state }: NodeTpmOptions,
): Promise<{ readonly ak: AttestationKey; readonly created: boolean }> {
  const stored = blobsOf(await state.readAk(), ekSha256, attestationKey);
  const kept = stored && (await loadable(new AttestationKey(tpm, ek, stored)));
  if (kept) return { ak: kept, created: false };
  const blobs = await createAk(tpm, ek, attestationKey);
  await state.writeAk(storedKey(blobs, ekSha256, attestationKey));
  return { ak: new AttestationKey(tpm, ek, blobs), created: true };
}

/** The key, unless the TPM was cleared since it was made. */
async function loadable(ak: AttestationKey): Promise<AttestationKey | undefined> {
  try {
    await ak.tpm.use((channel) => ak.withHandle(channel, async () => {}));
    return ak;
  } catch (error) {
    if (isForeignBlob(error)) return undefined;
    throw error;
  }
}

function isForeignBlob(error: unknown): boolean {
  return (
    error instanceof TpmError && error.command === 'TPM2_Load' && error.responseName === 'TPM_RC_INTEGRITY'
  );
}

function blobsOf(stored: StoredKey | undefined, ekSha256: string, algorithm: string): KeyBlobs | undefined {
  if (stored?.ekSha256 !== ekSha256 || stored.algorithm !== algorithm) return undefined;
  return { public: fromBase64(stored.public, 'public'), private: fromBase64(stored.private, 'private') };
}

function storedKey(blobs: KeyBlobs, ekSha256: string, algorithm: string): StoredKey {
  return { ekSha256, algorithm, public: toBase64(blobs.public), private: toBase64(blobs.private) };
}
