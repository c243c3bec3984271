import { fromHex } from '../../core/bytes/encoding.ts';
import type { HashName } from '../../core/tpm/constants.ts';
import { isFileDigestName } from '../digests/digest-entry.ts';
import type { DigestSet } from '../digests/digest-set.ts';
import type { DigestRule } from './boot-rules.ts';

/** Whether a rule allows what was measured. */
export function isAllowed(
  rule: DigestRule<readonly DigestSet[]> | 'any',
  digest: string,
  bank: HashName,
): boolean {
  if (rule === 'any' || rule.allow.has(digest)) return true;
  if (!isFileDigestName(bank)) return false;
  const bytes = fromHex(digest, 'digest');
  return rule.sets.some((set) => set.knows(bank, bytes));
}
