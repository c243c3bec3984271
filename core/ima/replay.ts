import type { HashName } from '../tpm/constants.ts';
import type { ImaEntryMemo } from './kernel/memo.ts';
import { kernelReplay } from './kernel/replay.ts';
import type { ImaList } from './list.ts';
import { type ImaExtendRule, type ImaReplay, type ImaState, replayImaPlain } from './replay-plain.ts';

export { ImaEntryMemo } from './kernel/memo.ts';
export { type ImaExtendRule, type ImaReplay, type ImaState, imaStart } from './replay-plain.ts';

/**
 * Finds the prefix of `list` that leads from `from` to the quoted values of all banks at once. Values cannot repeat
 * while hashes hold, so the first prefix that fits is the longest, and entries behind it are not looked at.
 *
 * @param list the entries behind those of `from`
 * @param quoted PCR 10 of each bank of `from`, from a quote that was verified
 * @param memo entries of other lists, which need not be hashed again
 * @throws {RangeError} when `quoted` and `from` have different banks or a value has the wrong size
 */
export function replayIma(
  list: ImaList,
  from: ImaState,
  quoted: ReadonlyMap<HashName, Uint8Array>,
  rule: ImaExtendRule = 'template-hash',
  memo?: ImaEntryMemo,
): ImaReplay {
  return kernelReplay(list, from, quoted, rule, memo) ?? replayImaPlain(list, from, quoted, rule);
}
