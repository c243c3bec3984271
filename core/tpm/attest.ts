import { Reader } from '../bytes/reader.ts';
import { Writer } from '../bytes/writer.ts';
import { failUnknown } from './algorithm.ts';
import { MAX_DIGEST_BYTES, MAX_TPMT_HA_BYTES, TPM_GENERATED_VALUE, TPM_ST } from './constants.ts';
import { readTpmlPcrSelection, type TpmsPcrSelection, writeTpmlPcrSelection } from './pcr-selection.ts';

/** TPMS_CLOCK_INFO (Part 2, 10.11.1). Only comparable within one TPM. */
export interface TpmsClockInfo {
  /** Milliseconds that the TPM was powered since its owner was last cleared. */
  readonly clock: bigint;
  /** Resets (boots) since then. */
  readonly resetCount: number;
  /** Restarts and resumes since the last reset. */
  readonly restartCount: number;
  /** Whether no greater `clock` was ever reported. */
  readonly safe: boolean;
}

/** TPMS_QUOTE_INFO (10.12.4). */
export interface TpmsQuoteInfo {
  readonly type: 'quote';
  readonly pcrSelect: readonly TpmsPcrSelection[];
  /** Over the selected PCRs in order, with the hash of the signature, not that of a bank. */
  readonly pcrDigest: Uint8Array;
}

/** TPMS_CERTIFY_INFO (10.12.3). */
export interface TpmsCertifyInfo {
  readonly type: 'certify';
  readonly name: Uint8Array;
  readonly qualifiedName: Uint8Array;
}

/** TPMS_CREATION_INFO (10.12.7). */
export interface TpmsCreationInfo {
  readonly type: 'creation';
  readonly objectName: Uint8Array;
  readonly creationHash: Uint8Array;
}

/** TPMU_ATTEST (10.12.11): the kinds that are evidence here. */
export type TpmuAttest = TpmsQuoteInfo | TpmsCertifyInfo | TpmsCreationInfo;

/** TPMS_ATTEST (10.12.12), with the `type` inside `attested`. */
export interface TpmsAttest {
  /** Qualified Name of the signing key, as the TPM sees it. */
  readonly qualifiedSigner: Uint8Array;
  /** What the caller of the TPM wanted signed: a nonce, once it was compared. */
  readonly extraData: Uint8Array;
  readonly clockInfo: TpmsClockInfo;
  readonly firmwareVersion: bigint;
  readonly attested: TpmuAttest;
}

const TAGS = {
  quote: TPM_ST.ATTEST_QUOTE,
  certify: TPM_ST.ATTEST_CERTIFY,
  creation: TPM_ST.ATTEST_CREATION,
} as const satisfies Record<TpmuAttest['type'], number>;

/**
 * Parses a TPMS_ATTEST (Part 2, 10.12.12), the structure an attestation key signs.
 * Says nothing about the signature: see appraiseQuote and appraiseCertify.
 *
 * @throws {ParseError} unless `bytes` is exactly one quote, certify or creation structure
 */
export function parseTpmsAttest(bytes: Uint8Array): TpmsAttest {
  const r = new Reader(bytes, 'TPMS_ATTEST');
  const magic = r.u32('magic');
  // A restricted key signs a structure with this prefix only if the TPM made it.
  if (magic !== TPM_GENERATED_VALUE) r.fail('magic', 'is not TPM_GENERATED_VALUE', 'bytes.known');
  const tag = r.u16('type');
  const qualifiedSigner = r.sized16('qualifiedSigner', MAX_TPMT_HA_BYTES);
  const extraData = r.sized16('extraData', MAX_TPMT_HA_BYTES);
  const clockInfo = readTpmsClockInfo(r);
  const firmwareVersion = r.u64('firmwareVersion');
  const attested = readTpmuAttest(r, tag);
  r.end();
  return { qualifiedSigner, extraData, clockInfo, firmwareVersion, attested };
}

/** The bytes of a TPMS_ATTEST, as a TPM would sign them. */
export function marshalTpmsAttest(attest: TpmsAttest): Uint8Array {
  const w = new Writer().u32(TPM_GENERATED_VALUE).u16(TAGS[attest.attested.type]);
  w.sized16(attest.qualifiedSigner).sized16(attest.extraData);
  writeTpmsClockInfo(w, attest.clockInfo);
  w.u64(attest.firmwareVersion);
  writeTpmuAttest(w, attest.attested);
  return w.bytes();
}

/** @throws {ParseError} when `safe` is neither YES nor NO */
function readTpmsClockInfo(r: Reader): TpmsClockInfo {
  const clock = r.u64('clockInfo.clock');
  const resetCount = r.u32('clockInfo.resetCount');
  const restartCount = r.u32('clockInfo.restartCount');
  const safe = r.u8('clockInfo.safe');
  if (safe > 1) r.fail('clockInfo.safe', `is ${safe}, 0 or 1 expected`, 'bytes.known');
  return { clock, resetCount, restartCount, safe: safe === 1 };
}

function writeTpmsClockInfo(w: Writer, clockInfo: TpmsClockInfo): void {
  w.u64(clockInfo.clock)
    .u32(clockInfo.resetCount)
    .u32(clockInfo.restartCount)
    .u8(clockInfo.safe ? 1 : 0);
}

function readTpmuAttest(r: Reader, tag: number): TpmuAttest {
  switch (tag) {
    case TPM_ST.ATTEST_QUOTE: {
      const pcrSelect = readTpmlPcrSelection(r);
      return { type: 'quote', pcrSelect, pcrDigest: r.sized16('pcrDigest', MAX_DIGEST_BYTES) };
    }
    case TPM_ST.ATTEST_CERTIFY: {
      const name = r.sized16('name', MAX_TPMT_HA_BYTES);
      return { type: 'certify', name, qualifiedName: r.sized16('qualifiedName', MAX_TPMT_HA_BYTES) };
    }
    case TPM_ST.ATTEST_CREATION: {
      const objectName = r.sized16('objectName', MAX_TPMT_HA_BYTES);
      return { type: 'creation', objectName, creationHash: r.sized16('creationHash', MAX_DIGEST_BYTES) };
    }
    default:
      return failUnknown(r, 'type', tag);
  }
}

function writeTpmuAttest(w: Writer, attested: TpmuAttest): void {
  switch (attested.type) {
    case 'quote':
      writeTpmlPcrSelection(w, attested.pcrSelect);
      w.sized16(attested.pcrDigest);
      return;
    case 'certify':
      w.sized16(attested.name).sized16(attested.qualifiedName);
      return;
    case 'creation':
      w.sized16(attested.objectName).sized16(attested.creationHash);
  }
}
