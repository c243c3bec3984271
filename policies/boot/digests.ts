import { fromHex } from '../../core/bytes/encoding.ts';
import type { HashName } from '../../core/tpm/constants.ts';
import { imageDigestName, isFileDigestName } from '../digests/digest-entry.ts';
import type { DigestSet } from '../digests/digest-set.ts';
import type { DigestRule } from './boot-rules.ts';

/**
 * Whether a rule allows what was measured: a file by the digest of its bytes, or an image that firmware ran by its
 * Authenticode digest.
 */
export function isAllowed(
  rule: DigestRule<readonly DigestSet[]> | 'any',
  kind: 'file' | 'image',
  digest: string,
  bank: HashName,
): boolean {
  if (rule === 'any' || rule.allow.has(digest)) return true;
  if (!isFileDigestName(bank)) return false;
  const bytes = fromHex(digest, 'digest');
  const name = kind === 'image' ? imageDigestName(bank) : bank;
  return rule.sets.some((set) => set.knows(name, bytes));
}
