import { toHex } from '../../core/bytes/encoding.ts';
import type { Finding } from '../../core/finding.ts';
import type { VerifiedQuote } from '../../core/tpm/quote.ts';
import type { PcrRule, Policy } from '../policy.ts';

const NAMED = 3;

/** Holds the quoted values against the policy's literals; every PCR that differs is named. */
export function evaluatePcrs(pcrs: Policy['pcrs'], quote: VerifiedQuote): Finding[] {
  return pcrs.rules.flatMap((rule) => evaluateRule(rule, pcrs.bank, quote.pcrs.get(rule.pcr)));
}

function evaluateRule(rule: PcrRule, bank: string, value: Uint8Array | undefined): Finding[] {
  // The selection was compared with the policy's before; a hole here is a fault of ours and must not pass.
  const found = value === undefined ? 'missing' : toHex(value);
  if (rule.anyOf.has(found)) return [];
  const values = [...rule.anyOf];
  const expected = values.length === 1 ? values[0] : `one of ${values.length} values`;
  const why = rule.why === undefined ? '' : ` (${rule.why})`;
  return [
    {
      rule: 'pcr.value',
      pcr: rule.pcr,
      message: `PCR ${rule.pcr}${why} in bank ${bank} is ${found}, rule ${rule.id} wants ${expected}`,
      found,
      expected: values.slice(0, NAMED),
    },
  ];
}
