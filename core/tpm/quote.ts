import { hash } from 'node:crypto';
import { equalBytes } from '../bytes/encoding.ts';
import { concat } from '../bytes/writer.ts';
import type { Finding } from '../finding.ts';
import type { TpmsClockInfo, TpmsQuoteInfo } from './attest.ts';
import { checkAttestation, type SignedAttestation } from './attestation.ts';
import { digestSize, type HashName } from './constants.ts';
import {
  bitmapOfPcrs,
  type PcrBanks,
  type PcrValues,
  pcrsOfBitmap,
  type TpmsPcrSelection,
} from './pcr-selection.ts';

/** What a node was asked to quote. */
export interface QuoteSelection {
  /** The bank that decides. */
  readonly bank: HashName;
  readonly pcrs: readonly number[];
  /** Banks that were asked for the same PCRs besides. They are under the digest, and decide nothing. */
  readonly alsoBanks?: readonly HashName[];
}

export interface QuoteInput extends SignedAttestation {
  /** Values that came with the quote: the node's word until the digest fits. Those not quoted are ignored. */
  readonly pcrValues: PcrBanks;
  readonly selection: QuoteSelection;
}

const VERIFIED: unique symbol = Symbol('VerifiedQuote');
// Spread, because a computed name in a literal is slow.
const MARK = { [VERIFIED]: true } as const;

/** A quote that passed every check; only appraiseQuote makes one. What the values mean is for a policy. */
export interface VerifiedQuote {
  readonly [VERIFIED]: true;
  readonly bank: HashName;
  /** Exactly the PCRs that were asked for. */
  readonly pcrs: PcrValues;
  readonly clockInfo: TpmsClockInfo;
  readonly firmwareVersion: bigint;
  readonly qualifiedSigner: Uint8Array;
  /** The bytes that were verified, to keep as evidence. */
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
}

export type QuoteAppraisal =
  | { readonly ok: true; readonly quote: VerifiedQuote }
  | { readonly ok: false; readonly findings: readonly Finding[] };

/**
 * Decides whether a quote (TPM2_Quote, Part 3, 18.4) is the AK's, fresh, and over the values that came
 * with it. Lists every failed check. Does not look at what the values are, nor at earlier clocks.
 *
 * @throws {RangeError} when the caller asks for no PCRs, or with an empty nonce
 */
export function appraiseQuote(input: QuoteInput): QuoteAppraisal {
  if (input.selection.pcrs.length === 0) throw new RangeError('a quote over no PCRs says nothing');
  const { findings, attest, signature } = checkAttestation('quote', input);
  if (attest?.attested.type !== 'quote') return { ok: false, findings };
  checkSelection(findings, input.selection, attest.attested.pcrSelect);
  const digestHash = signature?.hash ?? schemeHash(input);
  if (digestHash) checkDigest(findings, input.pcrValues, attest.attested, digestHash);
  if (findings.length > 0) return { ok: false, findings };
  return {
    ok: true,
    quote: {
      ...MARK,
      bank: input.selection.bank,
      pcrs: quotedValues(input, attest.attested),
      clockInfo: attest.clockInfo,
      firmwareVersion: attest.firmwareVersion,
      qualifiedSigner: attest.qualifiedSigner,
      attest: input.attest,
      signature: input.signature,
    },
  };
}

/** Rules `quote.bank` and `quote.selection`: the signed selection is the one that was asked for, and no other. */
function checkSelection(
  findings: Finding[],
  { bank, pcrs, alsoBanks = [] }: QuoteSelection,
  quoted: readonly TpmsPcrSelection[],
): void {
  if (bank === 'sha1') findings.push({ rule: 'quote.bank', message: 'the SHA-1 bank is not evidence' });
  if (!quoted.some(({ hash }) => hash === bank)) {
    findings.push({ rule: 'quote.bank', message: `bank ${bank} was asked for and is not in the quote` });
  }
  const all = pcrsOfBitmap(bitmapOfPcrs(pcrs));
  for (const name of new Set([bank, ...alsoBanks, ...quoted.map(({ hash }) => hash)])) {
    const asked = name === bank || alsoBanks.includes(name) ? all : [];
    const got = quoted.find(({ hash }) => hash === name)?.pcrs ?? [];
    if (asked.length === got.length && asked.every((pcr, index) => pcr === got[index])) continue;
    const message = `of bank ${name} PCRs ${list(got)} are quoted, ${list(asked)} expected`;
    findings.push({ rule: 'quote.selection', message });
  }
}

/** Rule `quote.digest`: the values are those under the signature, in the order of the signed selection. */
function checkDigest(
  findings: Finding[],
  values: PcrBanks,
  { pcrSelect, pcrDigest }: TpmsQuoteInfo,
  digestHash: HashName,
): void {
  const before = findings.length;
  const parts: Uint8Array[] = [];
  for (const { hash: bank, pcrs } of pcrSelect) {
    for (const pcr of pcrs) {
      const value = values.get(bank)?.get(pcr);
      // A value of another length could hide in its neighbours without changing the digest.
      if (value?.length === digestSize(bank)) parts.push(value);
      else findings.push({ rule: 'quote.digest', pcr, message: missingValue(bank, pcr, value) });
    }
  }
  if (findings.length > before) return;
  if (!equalBytes(hash(digestHash, concat(...parts), 'buffer'), pcrDigest)) {
    findings.push({
      rule: 'quote.digest',
      message: 'the PCR values that were sent are not those that were quoted',
    });
  }
}

function missingValue(bank: HashName, pcr: number, value: Uint8Array | undefined): string {
  return value
    ? `the value of PCR ${pcr} in bank ${bank} has ${value.length} bytes, ${digestSize(bank)} expected`
    : `PCR ${pcr} of bank ${bank} is quoted and its value was not sent`;
}

/** Ascending, as the signed selection is. */
function quotedValues(
  { pcrValues, selection: { bank } }: QuoteInput,
  { pcrSelect }: TpmsQuoteInfo,
): PcrValues {
  const sent = pcrValues.get(bank);
  const values = new Map<number, Uint8Array>();
  for (const pcr of pcrSelect.find(({ hash }) => hash === bank)?.pcrs ?? []) {
    const value = sent?.get(pcr);
    if (value) values.set(pcr, value);
  }
  return values;
}

function schemeHash({ akPublic: { scheme } }: QuoteInput): HashName | undefined {
  return 'hash' in scheme ? scheme.hash : undefined;
}

function list(pcrs: readonly number[]): string {
  return pcrs.length === 0 ? '(none)' : pcrs.join(',');
}
