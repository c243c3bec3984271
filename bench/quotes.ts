import { verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fromBase64, fromHex } from '../core/bytes/encoding.ts';
import { parsePcrBlob } from '../core/messages/keylime/pcr-blob.ts';
import { parseQuoteString, renderQuoteString } from '../core/messages/keylime/quote-string.ts';
import type { HashName } from '../core/tpm/constants.ts';
import { publicKeyOf } from '../core/tpm/key.ts';
import { parseTpm2bPublic } from '../core/tpm/public.ts';
import { appraiseQuote } from '../core/tpm/quote.ts';
import { parseTpmtSignature } from '../core/tpm/signature.ts';
import { derSequence, derUnsigned } from '../core/x509/der-writer.ts';
import { measurePaired, type Operation, type Paired } from './measure.ts';

interface QuoteVector {
  readonly name: string;
  readonly nonce: string;
  readonly asked: { readonly bank: HashName; readonly pcrs: readonly number[] };
  readonly akPublic: string;
  readonly attest: string;
  readonly signature: string;
  readonly pcrBlob: string;
}

/** Quotes of a TPM over PCRs 0 to 10, by the algorithm of the AK. */
const QUOTES = { 'ECDSA P-256': 'ecdsa-p256-ok', 'RSASSA 2048': 'rsassa-sha256-ok' };

/** The whole check of a quote, from its text on the wire to the verified PCR values, beside bare crypto.verify. */
export function benchQuotes(rounds: number): Readonly<Record<string, Paired>> {
  return Object.fromEntries(
    Object.entries(QUOTES).map(([algorithm, name]) => {
      const { appraise, verifyOnly } = operationsOf(vector(name));
      return [algorithm, measurePaired(appraise, verifyOnly, rounds)];
    }),
  );
}

/** Bare verification of an ECDSA P-256 quote: what all other figures are held against. */
export function bareVerify(): Operation {
  return operationsOf(vector(QUOTES['ECDSA P-256'])).verifyOnly;
}

function operationsOf(quote: QuoteVector): {
  readonly appraise: Operation;
  readonly verifyOnly: Operation;
} {
  const akPublic = parseTpm2bPublic(fromHex(quote.akPublic, 'akPublic'));
  const akKey = publicKeyOf(akPublic);
  const attest = fromHex(quote.attest, 'attest');
  const signature = fromHex(quote.signature, 'signature');
  const nonce = fromHex(quote.nonce, 'nonce');
  const text = renderQuoteString({ attest, signature, pcrBlob: fromBase64(quote.pcrBlob, 'pcrBlob') });
  const appraise = () => {
    const parts = parseQuoteString(text);
    const { values } = parsePcrBlob(parts.pcrBlob);
    const request = { akPublic, akKey, nonce, pcrValues: values, selection: quote.asked };
    if (!appraiseQuote({ ...parts, ...request }).ok) throw new Error(`the quote ${quote.name} was refused`);
  };
  const parsed = parseTpmtSignature(signature);
  const bare =
    'sig' in parsed
      ? parsed.sig
      : derSequence(derUnsigned(parsed.signatureR), derUnsigned(parsed.signatureS));
  const verifyOnly = () => {
    if (!verify('sha256', attest, akKey, bare)) throw new Error(`the signature of ${quote.name} is not good`);
  };
  return { appraise, verifyOnly };
}

function vector(name: string): QuoteVector {
  const file = new URL('../test/vectors/tpm/quote.json', import.meta.url);
  const all: readonly QuoteVector[] = JSON.parse(readFileSync(file, 'utf8'));
  const found = all.find((one) => one.name === name);
  if (!found) throw new Error(`there is no quote ${name} among the vectors`);
  return found;
}
