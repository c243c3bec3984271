import Type from 'typebox';
import Value from 'typebox/value';
import { toHex } from '../../core/bytes/encoding.ts';
import { parsePcrBlob } from '../../core/messages/keylime/pcr-blob.ts';
import { parseQuoteString } from '../../core/messages/keylime/quote-string.ts';
import type { PcrBanks, PcrValues } from '../../core/tpm/pcr-selection.ts';
import { parsePolicy } from '../../policies/language/parse.ts';
import { CHANNEL_PCR } from '../../policies/rules/channel.ts';

// The part of StoredEvidence that is read here; the database may hold that of an earlier release.
const Quoted = Type.Object({ bank: Type.Enum(['sha256', 'sha384', 'sha512']), quote: Type.String() });

/**
 * A policy document that demands the PCR values of evidence that passed. A starting point for a person to read:
 * whether these values are good is not known here.
 *
 * @throws {TypeError} for evidence of another form
 */
export function draftPolicy(
  name: string,
  source: { readonly nodeId: string; readonly at: string; readonly evidence: unknown },
): string {
  const { evidence } = source;
  if (!Value.Check(Quoted, evidence)) throw new TypeError('the stored evidence is not of a known form');
  const values = pcrsOf(parsePcrBlob(parseQuoteString(evidence.quote).pcrBlob).values, evidence.bank);
  const rules = [...values].map(([pcr, value]) => `    ${pcr}: { any-of: ['${toHex(value)}'] }\n`).join('');
  const document = `assay: policy/v1
name: ${name}
description: Drafted from node ${source.nodeId} as it passed at ${source.at}.
freshness:
  interval: 30s
  trust-for: 5m
reaction: ban
pcrs:
  bank: ${evidence.bank}
  require: ${[...values.keys()].join(', ')}
  values:
${rules}`;
  parsePolicy(document, name);
  return document;
}

function pcrsOf(banks: PcrBanks, bank: 'sha256' | 'sha384' | 'sha512'): PcrValues {
  const values = banks.get(bank) ?? new Map<number, Uint8Array>();
  return new Map([...values].filter(([pcr]) => pcr !== CHANNEL_PCR));
}
