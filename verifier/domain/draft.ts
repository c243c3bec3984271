import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import { stringify } from 'yaml';
import { toHex } from '../../core/bytes/encoding.ts';
import { AssayError, ParseError } from '../../core/errors.ts';
import { parsePcrBlob } from '../../core/messages/keylime/pcr-blob.ts';
import { parseQuoteString } from '../../core/messages/keylime/quote-string.ts';
import type { HashName } from '../../core/tpm/constants.ts';
import type { PcrBanks, PcrValues } from '../../core/tpm/pcr-selection.ts';
import type { BootProfile } from '../../policies/boot/boot-rules.ts';
import { draftBoot } from '../../policies/boot/draft.ts';
import { parsePolicy } from '../../policies/language/parse.ts';
import { CHANNEL_PCR } from '../../policies/rules/channel.ts';
import type { KnownLogs } from '../transport/evidence-source.ts';

// The part of StoredEvidence that is read here; the database may hold that of an earlier release.
const Quoted = Type.Object({
  bank: Type.Enum(['sha256', 'sha384', 'sha512']),
  quote: Type.String(),
  boot: Type.Optional(
    Type.Object({ firmware: Type.Optional(Type.String()), userspace: Type.Optional(Type.String()) }),
  ),
});

/** Evidence that passed, as it is stored. */
export interface DraftSource {
  readonly nodeId: string;
  readonly at: string;
  readonly evidence: unknown;
}

/** Which logs a draft that judges the boot needs, by their digests. */
export function logsOf({ evidence }: DraftSource): KnownLogs {
  return read(evidence).boot ?? {};
}

/** What a draft is to say of the boot. */
export interface DraftBoot {
  readonly profile: BootProfile;
  readonly firmware: Uint8Array | undefined;
  readonly userspace: Uint8Array | undefined;
  readonly commandLine?: string;
}

/**
 * A policy document that allows what evidence shows that passed: its PCR values, or with a profile what was booted. A
 * starting point for a person to read: whether it is good is not known here.
 *
 * @throws {TypeError} for evidence of another form
 * @throws {AssayError} `not-found` without the logs that the profile needs, `invalid-request` when they do not fit
 */
export function draftPolicy(name: string, source: DraftSource, boot?: DraftBoot): string {
  const { bank, quote } = read(source.evidence);
  const values = pcrsOf(parsePcrBlob(parseQuoteString(quote).pcrBlob).values, bank);
  const section = boot && boot.profile !== 'no-log' ? draftSection(boot, bank, values) : undefined;
  const literal = section ? new Map<number, Uint8Array>() : values;
  const document = stringify(
    {
      assay: 'policy/v1',
      name,
      description: `Drafted from node ${source.nodeId} as it passed at ${source.at}.`,
      freshness: { interval: '30s', 'trust-for': '5m' },
      reaction: 'ban',
      pcrs: { bank, require: [...values.keys()].join(', '), ...literalRules(literal) },
      ...(section ? { boot: section } : boot ? { boot: { profile: boot.profile } } : {}),
    },
    { lineWidth: 0 },
  );
  parsePolicy(document, name);
  return document;
}

function read(evidence: unknown): Static<typeof Quoted> {
  if (!Value.Check(Quoted, evidence)) throw new TypeError('the stored evidence is not of a known form');
  return evidence;
}

function draftSection(
  { profile, firmware, userspace, commandLine }: DraftBoot,
  bank: HashName,
  values: PcrValues,
): ReturnType<typeof draftBoot> {
  if (profile === 'no-log') throw new RangeError('without a log there is nothing to draft from');
  if (!firmware || firmware.length === 0) {
    throw new AssayError(
      'not-found',
      'no boot log of the node is kept: it has none (use the profile no-log), or has not passed since this release',
    );
  }
  try {
    return draftBoot({
      ...{ profile, bank, values, firmware },
      ...(userspace ? { userspace } : {}),
      ...(commandLine === undefined ? {} : { commandLine }),
    });
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof ParseError)) throw error;
    throw new AssayError('invalid-request', `profile ${profile} does not fit the node: ${error.message}`);
  }
}

function literalRules(values: PcrValues) {
  if (values.size === 0) return {};
  return {
    values: Object.fromEntries([...values].map(([pcr, value]) => [pcr, { 'any-of': [toHex(value)] }])),
  };
}

function pcrsOf(banks: PcrBanks, bank: 'sha256' | 'sha384' | 'sha512'): PcrValues {
  const values = banks.get(bank) ?? new Map<number, Uint8Array>();
  return new Map([...values].filter(([pcr]) => pcr !== CHANNEL_PCR));
}
