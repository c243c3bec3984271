import { fromBase64, fromHex } from '../../core/bytes/encoding.ts';
import { ParseError } from '../../core/errors.ts';
import type { Finding } from '../../core/finding.ts';
import { type EvidenceBundle, HASH_BANKS } from '../../core/messages/bundle.ts';
import { parsePcrBlob } from '../../core/messages/keylime/pcr-blob.ts';
import { parseQuoteString } from '../../core/messages/keylime/quote-string.ts';
import type { HashName } from '../../core/tpm/constants.ts';
import type { PcrBanks } from '../../core/tpm/pcr-selection.ts';
import { parseTpm2bPublic } from '../../core/tpm/public.ts';
import type { NodeHistory } from '../appraise.ts';
import type { KeptEvidence } from '../appraise-offline.ts';
import { sentLog } from '../boot/evaluate.ts';
import { DigestSet } from '../digests/digest-set.ts';
import type { JudgedList } from '../rules/ima.ts';
import { readSentList } from '../rules/ima-list.ts';

/** The parts of a bundle that a verdict rests on. */
export type BundledEvidence = Pick<EvidenceBundle, 'asked' | 'quote' | 'logs'> & {
  readonly node: Pick<EvidenceBundle['node'], 'akPublic'>;
};

/** The evidence in a bundle; `findings` say why there is none. @throws {ParseError} for bytes that are none */
export function evidenceIn(
  bundle: BundledEvidence,
): { readonly kept: KeptEvidence } | { readonly findings: readonly Finding[] } {
  const { asked, node, quote, logs } = bundle;
  if ('raw' in quote) return { findings: [refusalOf(quote.raw)] };
  const { firmware, userspace, ima } = logs;
  const boot = {
    ...(firmware === undefined ? {} : { firmware: sentLog(fromBase64(firmware, 'bundle.logs.firmware')) }),
    ...(userspace === undefined
      ? {}
      : { userspace: sentLog(fromBase64(userspace, 'bundle.logs.userspace')) }),
  };
  const list = ima && readSentList({ ...ima, bytes: fromBase64(ima.bytes, 'bundle.logs.ima') });
  const { channel } = asked;
  return {
    kept: {
      akPublic: parseTpm2bPublic(fromBase64(node.akPublic, 'bundle.node.akPublic')),
      attest: fromBase64(quote.attest, 'bundle.quote.attest'),
      signature: fromBase64(quote.signature, 'bundle.quote.signature'),
      pcrValues: valuesOf(quote.pcrs),
      nonce: fromBase64(asked.nonce, 'bundle.asked.nonce'),
      asked: { bank: asked.bank, pcrs: asked.pcrs },
      ...(channel ? { channel: { ...channel, value: fromHex(channel.value, 'bundle.asked.channel') } } : {}),
      ...(firmware === undefined && userspace === undefined ? {} : { boot }),
      ...(list ? { ima: list } : {}),
    },
  };
}

/** What was known of the node before. */
export function historyIn({ history: { clock, ima } }: EvidenceBundle): NodeHistory {
  return {
    ...(clock ? { clock: { ...clock, clock: BigInt(clock.clock) } } : {}),
    ...(ima ? { ima: judgedList(ima) } : {}),
  };
}

function judgedList({
  entries,
  bank,
  pcr,
  learned,
}: NonNullable<EvidenceBundle['history']['ima']>): JudgedList {
  const pcrs = new Map([[bank, fromHex(pcr, 'bundle.history.ima')]]);
  return { entries, pcrs, ...(learned ? { learned } : {}) };
}

/** Digest sets that are in the bundle; one that is not what its id says is a finding. */
export function setsIn({ sets }: EvidenceBundle): {
  readonly sets: readonly DigestSet[];
  readonly findings: readonly Finding[];
} {
  const findings: Finding[] = [];
  const found = sets.flatMap(({ id, bytes }) => {
    if (bytes === undefined) return [];
    const set = DigestSet.parse(fromBase64(bytes, 'bundle.sets'));
    if (set.id === id) return [set];
    findings.push({ rule: 'bundle.sets', message: `the digest set that is here as ${id} is ${set.id}` });
    return [];
  });
  return { sets: found, findings };
}

function valuesOf(pcrs: Readonly<Record<string, Readonly<Record<string, string>>>>): PcrBanks {
  const banks = new Map<HashName, ReadonlyMap<number, Uint8Array>>();
  for (const bank of HASH_BANKS) {
    const values = pcrs[bank];
    if (values === undefined) continue;
    const read = ([pcr, value]: [string, string]) =>
      [Number(pcr), fromHex(value, `bundle.quote.pcrs.${bank}.${pcr}`)] as const;
    banks.set(bank, new Map(Object.entries(values).map(read)));
  }
  return banks;
}

/** Why what a node sent was no quote; the same is said by whoever reads it again. */
function refusalOf(raw: string): Finding {
  try {
    parsePcrBlob(parseQuoteString(raw).pcrBlob);
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    return { rule: error.rule, message: error.message };
  }
  return { rule: 'bundle.quote', message: 'the quote is not in its parts, and could be' };
}
