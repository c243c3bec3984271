import { concat } from '../../core/bytes/writer.ts';
import { AssayError } from '../../core/errors.ts';
import { CURVES } from '../../core/tpm/curve.ts';
import { tpmaObject } from '../../core/tpm/object-attributes.ts';
import { marshalTpm2bPublic, type TpmtPublic } from '../../core/tpm/public.ts';
import { parseTpmtSignature } from '../../core/tpm/signature.ts';
import type { AttestationKey } from './attestation-key.ts';
import { ChildKey, createChildKey } from './child-key.ts';
import { type Attestation, certify, signDigest } from './commands/attestation.ts';
import type { KeyBlobs } from './commands/object.ts';
import type { EndorsementKey } from './endorsement.ts';
import type { Tpm } from './tpm.ts';

const EMPTY = new Uint8Array();
const DIGEST_BYTES = 32;

/** ECDSA P-256 that the TPM made and never gives out, and that signs any digest. */
const NODE_CA_TEMPLATE: TpmtPublic = {
  type: 'ecc',
  nameAlg: 'sha256',
  objectAttributes: tpmaObject('fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'sign'),
  authPolicy: EMPTY,
  symmetric: { type: 'null' },
  scheme: { type: 'ecdsa', hash: 'sha256' },
  curve: 'p256',
  kdf: { type: 'null' },
  unique: { x: EMPTY, y: EMPTY },
};

/**
 * Makes a node CA key. Its parent is the EK, as the AK's is: the EK is there after a restart, after a
 * reset and after the owner cleared the TPM, and a key that only this EK can load belongs to this node's
 * identity. A parent in the owner hierarchy would die with TPM2_Clear and need the owner's password, one
 * in the null hierarchy dies with each reset.
 */
export function createNodeCaKey(tpm: Tpm, ek: EndorsementKey): Promise<KeyBlobs> {
  return createChildKey(tpm, ek, marshalTpm2bPublic(NODE_CA_TEMPLATE));
}

/** The signing key of a node's own CA. Loaded for each use, since it signs once in some minutes. */
export class NodeCaKey extends ChildKey {
  constructor(tpm: Tpm, ek: EndorsementKey, blobs: KeyBlobs) {
    super({ tpm, ek, blobs });
  }

  /** The TPM's statement, signed by the AK, that it holds this key. */
  certify(ak: AttestationKey, nonce: Uint8Array): Promise<Attestation> {
    return this.tpm.use((channel) =>
      ak.withHandle(channel, (signer) =>
        this.withHandle(channel, (handle) => certify(channel, handle, signer, nonce)),
      ),
    );
  }

  /**
   * ECDSA over a SHA-256 digest.
   *
   * @returns r and s, 32 bytes each (IEEE P1363): what WebCrypto and JWS call an ECDSA signature
   */
  async sign(digest: Uint8Array): Promise<Uint8Array> {
    if (digest.length !== DIGEST_BYTES) throw new RangeError(`a SHA-256 digest has ${DIGEST_BYTES} bytes`);
    const bytes = await this.tpm.use((channel) =>
      this.withHandle(channel, (handle) => signDigest(channel, handle, digest)),
    );
    const signature = parseTpmtSignature(bytes);
    if (signature.type !== 'ecdsa') {
      throw new AssayError('unavailable', `the TPM signed with ${signature.type}, ecdsa expected`);
    }
    return concat(padded(signature.signatureR), padded(signature.signatureS));
  }
}

/** Some TPMs leave leading zeros out. */
function padded(number: Uint8Array): Uint8Array {
  const { sizeBytes } = CURVES.p256;
  return concat(new Uint8Array(Math.max(sizeBytes - number.length, 0)), number);
}
