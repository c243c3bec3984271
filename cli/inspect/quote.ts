import { toHex } from '../../core/bytes/encoding.ts';
import { ParseError } from '../../core/errors.ts';
import type { Finding } from '../../core/finding.ts';
import { parsePcrBlob } from '../../core/messages/keylime/pcr-blob.ts';
import { parseTpmsAttest, type TpmsAttest } from '../../core/tpm/attest.ts';
import { checkAttestationKey } from '../../core/tpm/attestation-key.ts';
import { computeName } from '../../core/tpm/name.ts';
import type { PcrBanks } from '../../core/tpm/pcr-selection.ts';
import type { TpmtPublic } from '../../core/tpm/public.ts';
import { appraiseQuote, type QuoteSelection } from '../../core/tpm/quote.ts';
import { parseTpmtSignature } from '../../core/tpm/signature.ts';
import { decodeBinary } from '../evidence-files/decode.ts';
import { attestBytes, keylimeQuote, readQuoteKey, signatureBytes } from './quote-input.ts';

/** Files of a quote, in the forms that people have. */
export interface QuoteFiles {
  /** TPMS_ATTEST, TPM2B_ATTEST, or a Keylime quote, which holds signature and values too. */
  readonly attest: Uint8Array;
  readonly signature?: Uint8Array;
  readonly key: Uint8Array;
  /** As tpm2_quote -o writes them. */
  readonly pcrs?: Uint8Array;
  readonly nonce?: Uint8Array;
}

/** One thing that a verifier looks at. */
export interface QuoteCheck {
  /** Rules of docs/threat-model.md. */
  readonly rules: readonly string[];
  readonly what: string;
  /** null: could not be looked at. */
  readonly ok: boolean | null;
  readonly messages: readonly string[];
}

export interface InspectedQuote {
  /** null when it is no attestation of a TPM that is known here. */
  readonly attest: {
    readonly type: string;
    readonly qualifiedSigner: string;
    readonly extraData: string;
    readonly clock: string;
    readonly resetCount: number;
    readonly restartCount: number;
    readonly safe: boolean;
    readonly firmwareVersion: string;
    readonly selection: Readonly<Record<string, readonly number[]>>;
    readonly pcrDigest: string | null;
  } | null;
  readonly key: {
    readonly type: string;
    readonly scheme: string;
    readonly name: string | null;
    readonly attributes: readonly string[] | null;
  };
  readonly signature: string;
  readonly checks: readonly QuoteCheck[];
}

/** Shows a quote and looks at all that a verifier would, as far as the files go. @throws {ParseError} that names the file */
export function inspectQuote(files: QuoteFiles): InspectedQuote {
  const whole = named('--attest', () => keylimeQuote(files.attest));
  const { publicArea, hasAttributes } = named('--key', () => readQuoteKey(files.key));
  const attest = whole?.attest ?? attestBytes(files.attest);
  const signature = named('--signature', () => signatureOf(files, whole?.signature, publicArea));
  const blob = whole?.pcrBlob ?? (files.pcrs && decodeBinary(files.pcrs));
  const values = blob && named('--pcrs', () => parsePcrBlob(blob).values);
  const parsed = named('--attest', () => parseKnown(attest));
  const signed = named('--signature', () => parseTpmtSignature(signature));
  // What only a TPM's own form says is not held against a key that came as PEM.
  const akPublic = hasAttributes
    ? publicArea
    : { ...publicArea, scheme: { type: signed.type, hash: signed.hash } };
  const findings = findingsOf({ attest, signature, akPublic: akPublic as TpmtPublic, parsed, values, files });
  return {
    attest: parsed ? shownAttest(parsed) : null,
    key: shownKey(publicArea, hasAttributes),
    signature: `${signed.type} ${signed.hash}`,
    checks: checksOf(findings, {
      ...{ hasAttributes, values, nonce: files.nonce },
      ...{ type: parsed?.attested.type, isSha1: signed.hash === 'sha1' },
    }),
  };
}

function signatureOf(files: QuoteFiles, whole: Uint8Array | undefined, key: TpmtPublic): Uint8Array {
  const file = whole ?? files.signature;
  if (file) return signatureBytes(file, key);
  throw new ParseError('signature', 0, 'is missing: only a Keylime quote holds its own');
}

/** Another kind of attestation, or none, is what a verifier would find out; anything else is a broken file. */
function parseKnown(attest: Uint8Array): TpmsAttest | undefined {
  try {
    return parseTpmsAttest(attest);
  } catch (error) {
    const isOther =
      error instanceof ParseError && ['TPMS_ATTEST.magic', 'TPMS_ATTEST.type'].includes(error.field);
    if (isOther) return undefined;
    throw error;
  }
}

interface Read {
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
  readonly akPublic: TpmtPublic;
  readonly parsed: TpmsAttest | undefined;
  readonly values: PcrBanks | undefined;
  readonly files: QuoteFiles;
}

function findingsOf({ attest, signature, akPublic, parsed, values, files }: Read): readonly Finding[] {
  const appraisal = appraiseQuote({
    ...{ akPublic, attest, signature },
    nonce: nonceOf(files, parsed),
    pcrValues: values ?? new Map(),
    selection: selectionOf(parsed),
  });
  return [...checkAttestationKey(akPublic), ...(appraisal.ok ? [] : appraisal.findings)];
}

/** Where nobody says what was asked with, whatever is in the quote. */
function nonceOf({ nonce }: QuoteFiles, parsed: TpmsAttest | undefined): Uint8Array {
  const asked = nonce ?? parsed?.extraData;
  return asked && asked.length > 0 ? asked : Uint8Array.of(0);
}

/** Nobody says what was asked for: what is quoted. */
function selectionOf(parsed: TpmsAttest | undefined): QuoteSelection {
  const attested = parsed?.attested;
  const quoted = attested?.type === 'quote' ? attested.pcrSelect.filter(({ pcrs }) => pcrs.length > 0) : [];
  const first = quoted.find(({ hash }) => hash !== 'sha1') ?? quoted[0];
  if (!first) return { bank: 'sha256', pcrs: [0] };
  const alsoBanks = quoted.map(({ hash }) => hash).filter((hash) => hash !== first.hash);
  return { bank: first.hash, pcrs: first.pcrs, alsoBanks };
}

interface Given {
  readonly hasAttributes: boolean;
  readonly values: PcrBanks | undefined;
  readonly nonce: Uint8Array | undefined;
  /** Of the attestation. */
  readonly type: string | undefined;
  /** Of the signature: a verifier refuses it without a further look. */
  readonly isSha1: boolean;
}

function checksOf(findings: readonly Finding[], given: Given): QuoteCheck[] {
  const { hasAttributes, values, nonce, type, isSha1 } = given;
  const check = (what: string, rules: readonly string[], whyNot?: string): QuoteCheck => {
    if (whyNot !== undefined) return { rules, what, ok: null, messages: [whyNot] };
    const messages = [
      ...new Set(findings.filter(({ rule }) => rules.includes(rule)).map(({ message }) => message)),
    ];
    return { rules, what, ok: messages.length === 0, messages };
  };
  const noAttributes = hasAttributes
    ? undefined
    : 'a PEM or DER key does not say what it may do: give the TPM2B_PUBLIC or TPMT_PUBLIC';
  // Of what is no quote a verifier looks no further.
  const noAttest = type === undefined ? 'it is no attestation of a TPM' : undefined;
  const noQuote = type === 'quote' ? undefined : (noAttest ?? `it is a ${type} attestation`);
  return [
    check('a quote that a TPM made', ['quote.magic']),
    check('the key signs what its TPM made, and nothing else', ['ak.attributes'], noAttributes),
    check('the key is strong enough', ['ak.weak']),
    check('the scheme is accepted', ['ak.scheme', 'ak.name', 'quote.signer'], noAttributes),
    check(
      'the signature is of this key',
      ['quote.signature'],
      isSha1 ? 'it is over SHA-1, whose signatures prove nothing' : undefined,
    ),
    check(
      'the nonce is the one that was asked with',
      ['quote.nonce'],
      nonce ? noAttest : 'no --nonce was given',
    ),
    check('a bank that is evidence is quoted', ['quote.bank'], noQuote),
    check(
      'the values are those that were quoted',
      ['quote.digest'],
      values ? noQuote : 'no --pcrs were given',
    ),
  ];
}

function shownAttest({ qualifiedSigner, extraData, clockInfo, firmwareVersion, attested }: TpmsAttest) {
  const quote = attested.type === 'quote' ? attested : undefined;
  return {
    type: attested.type,
    qualifiedSigner: toHex(qualifiedSigner),
    extraData: toHex(extraData),
    ...clockInfo,
    clock: String(clockInfo.clock),
    firmwareVersion: firmwareVersion.toString(16).padStart(16, '0'),
    selection: Object.fromEntries((quote?.pcrSelect ?? []).map(({ hash, pcrs }) => [hash, pcrs])),
    pcrDigest: quote ? toHex(quote.pcrDigest) : null,
  };
}

function shownKey(key: TpmtPublic, hasAttributes: boolean): InspectedQuote['key'] {
  const type = key.type === 'rsa' ? `RSA ${key.keyBits}` : `ECC ${key.curve.toUpperCase()}`;
  if (!hasAttributes) return { type, scheme: 'not known', name: null, attributes: null };
  const { scheme, objectAttributes } = key;
  const set = Object.entries(objectAttributes).flatMap(([name, isSet]) => (isSet ? [name] : []));
  return {
    type,
    scheme: 'hash' in scheme ? `${scheme.type} ${scheme.hash}` : scheme.type,
    name: toHex(computeName(key)),
    attributes: set,
  };
}

/** Says in which of the files the fault is. */
function named<T>(option: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    throw new ParseError(`${option}: ${error.field}`, error.offset, problemOf(error), error.rule);
  }
}

function problemOf({ message, field, offset }: ParseError): string {
  return message.slice(`${field} at byte ${offset}: `.length);
}
