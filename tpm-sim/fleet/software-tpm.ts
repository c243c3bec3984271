import { createHash, generateKeyPairSync, hash, type KeyObject, randomBytes, sign } from 'node:crypto';
import { concat } from '../../core/bytes/writer.ts';
import { marshalTpmsAttest, type TpmsAttest, type TpmuAttest } from '../../core/tpm/attest.ts';
import { AK_TEMPLATES } from '../../core/tpm/attestation-key.ts';
import { digestSize, type HashName, PCR_COUNT } from '../../core/tpm/constants.ts';
import { activateCredential, type Credential } from '../../core/tpm/credential.ts';
import { EK_TEMPLATES } from '../../core/tpm/endorsement-key.ts';
import { computeName } from '../../core/tpm/name.ts';
import { tpmaObject } from '../../core/tpm/object-attributes.ts';
import type { PcrBanks } from '../../core/tpm/pcr-selection.ts';
import { marshalTpm2bPublic, type TpmtPublic, type TpmtPublicEcc } from '../../core/tpm/public.ts';
import { marshalTpmtSignature } from '../../core/tpm/signature.ts';

const FIRMWARE_VERSION = 0x2024_0101_0000_0001n;
const BANK: HashName = 'sha256';
const SAFE = true;

interface SoftwareKey {
  readonly publicArea: TpmtPublic;
  readonly privateKey: KeyObject;
}

/** What a copy of a TPM's non-volatile state holds: its seeds' keys and counters. */
export interface TpmState {
  readonly ek: SoftwareKey;
  readonly ak: SoftwareKey;
  readonly resetCount: number;
  readonly clock: bigint;
}

/**
 * As much of a TPM 2.0 as a node shows on the wire, in software and fast: P-256 EK and AK, one SHA-256 bank,
 * a clock, and the counters. For load and for attacks that need many nodes; swtpm is the reference.
 */
export class SoftwareTpm {
  readonly ek: SoftwareKey;
  readonly ak: SoftwareKey;
  readonly akName: Uint8Array;
  readonly #now: () => number;
  readonly #pcrs = new Map<number, Uint8Array>();
  #poweredSince: number;
  #clockBefore: bigint;
  #resetCount: number;

  /** @param now milliseconds, never going back */
  constructor(now: () => number, state: TpmState = freshState()) {
    this.ek = state.ek;
    this.ak = state.ak;
    this.akName = computeName(state.ak.publicArea);
    this.#now = now;
    this.#poweredSince = now();
    this.#clockBefore = state.clock;
    this.#resetCount = state.resetCount;
    this.reset();
  }

  get ekPublic(): Uint8Array {
    return marshalTpm2bPublic(this.ek.publicArea);
  }

  get akPublic(): Uint8Array {
    return marshalTpm2bPublic(this.ak.publicArea);
  }

  /** TPM Reset, as at a boot: PCRs zero (17 to 22 ones), resetCount up. */
  reset(): void {
    this.#clockBefore = this.#clock();
    this.#poweredSince = this.#now();
    this.#resetCount += 1;
    for (let pcr = 0; pcr < PCR_COUNT; pcr += 1) {
      this.#pcrs.set(pcr, new Uint8Array(digestSize(BANK)).fill(pcr >= 17 && pcr <= 22 ? 0xff : 0));
    }
  }

  extend(pcr: number, digest: Uint8Array): void {
    this.#pcrs.set(pcr, new Uint8Array(hash(BANK, concat(this.#value(pcr), digest), 'buffer')));
  }

  /** Zero, then one extend: what PCR 16 holds when it binds a key. */
  bind(pcr: number, digest: Uint8Array): void {
    this.#pcrs.set(pcr, new Uint8Array(digestSize(BANK)));
    this.extend(pcr, digest);
  }

  /** TPM2_Quote of the one bank. */
  quote(nonce: Uint8Array, pcrs: readonly number[]) {
    const ascending = [...pcrs].sort((a, b) => a - b);
    const digest = createHash(BANK);
    for (const pcr of ascending) digest.update(this.#value(pcr));
    const pcrDigest = new Uint8Array(digest.digest());
    const signed = this.#attest(nonce, {
      type: 'quote',
      pcrSelect: [{ hash: BANK, pcrs: ascending }],
      pcrDigest,
    });
    const values: PcrBanks = new Map([[BANK, new Map(ascending.map((pcr) => [pcr, this.#value(pcr)]))]]);
    return { ...signed, values, selections: [{ hash: BANK, pcrs: ascending }] };
  }

  /** TPM2_Certify of an object in this TPM. */
  certify(nonce: Uint8Array, object: TpmtPublic) {
    const name = computeName(object);
    return this.#attest(nonce, { type: 'certify', name, qualifiedName: name });
  }

  activate(credential: Credential): Uint8Array {
    const { publicArea: ek, privateKey: ekPrivate } = this.ek;
    return activateCredential({ ek, ekPrivate, objectName: this.akName, credential });
  }

  /** A signing key that TPM2_Create would have made here: for node CA keys. */
  createSigningKey(): SoftwareKey {
    const attributes = tpmaObject('fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'sign');
    return eccKey({ ...AK_TEMPLATES.ecc256, objectAttributes: attributes });
  }

  /** What an attacker copies from the disk of a TPM that is software. */
  copyState(): TpmState {
    return { ek: this.ek, ak: this.ak, resetCount: this.#resetCount, clock: this.#clock() };
  }

  #attest(nonce: Uint8Array, attested: TpmuAttest) {
    const structure: TpmsAttest = {
      qualifiedSigner: this.akName,
      extraData: nonce,
      clockInfo: { clock: this.#clock(), resetCount: this.#resetCount, restartCount: 0, safe: SAFE },
      firmwareVersion: FIRMWARE_VERSION,
      attested,
    };
    const attest = marshalTpmsAttest(structure);
    const pair = sign(BANK, attest, { key: this.ak.privateKey, dsaEncoding: 'ieee-p1363' });
    const signature = marshalTpmtSignature({
      type: 'ecdsa',
      hash: BANK,
      signatureR: pair.subarray(0, pair.length / 2),
      signatureS: pair.subarray(pair.length / 2),
    });
    return { attest, signature };
  }

  #clock(): bigint {
    return this.#clockBefore + BigInt(Math.round(this.#now() - this.#poweredSince));
  }

  #value(pcr: number): Uint8Array {
    const value = this.#pcrs.get(pcr);
    if (!value) throw new RangeError(`there is no PCR ${pcr}`);
    return value;
  }
}

function freshState(): TpmState {
  return {
    ek: eccKey(EK_TEMPLATES['L-2']),
    ak: eccKey(AK_TEMPLATES.ecc256),
    resetCount: randomBytes(2).readUInt16BE(),
    clock: BigInt(randomBytes(4).readUInt32BE()),
  };
}

function eccKey(template: TpmtPublicEcc): SoftwareKey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const unique = {
    x: new Uint8Array(Buffer.from(x, 'base64url')),
    y: new Uint8Array(Buffer.from(y, 'base64url')),
  };
  return { publicArea: { ...template, unique }, privateKey };
}
