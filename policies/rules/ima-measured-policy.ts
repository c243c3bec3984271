import { printable, toHex } from '../../core/bytes/encoding.ts';
import type { Finding } from '../../core/finding.ts';
import { IMA_PCR } from '../../core/ima/binary.ts';
import { imaEntry } from '../../core/ima/entry.ts';
import { IMA_FLAG, type ImaList } from '../../core/ima/list.ts';
import { isFileDigestName } from '../digests/digest-entry.ts';
import type { ImaPolicy } from '../ima-policy.ts';

const NAMED = 3;

/**
 * Rule `ima.policy`: the file that says what is measured is itself measured, and is one that the policy knows. A list
 * that goes on where a judged one ended need not show it again.
 *
 * @param to entries that the quote proves
 */
export function evaluateMeasuredPolicy(
  { measuredPolicy }: Pick<ImaPolicy, 'measuredPolicy'>,
  list: ImaList,
  to: number,
  firstEntry: number,
): Finding[] {
  return [...measuredPolicy].flatMap(([path, digests]) => {
    const shown = entriesAt(list, path, to);
    const strange = shown.flatMap((index) => refuseOther(list, index, digests, firstEntry));
    const isMissing = firstEntry === 0 && shown.length === 0;
    return isMissing ? [notMeasured(path, digests)] : strange;
  });
}

function entriesAt({ bytes, columns }: ImaList, path: string, to: number): number[] {
  const name = Buffer.from(path);
  const found: number[] = [];
  for (let index = 0; index < to; index += 1) {
    if (columns.nameLength[index] !== name.length) continue;
    // What was changed in use is a violation, which has its own rule.
    if (((columns.flags[index] ?? 0) & IMA_FLAG.VIOLATION) !== 0) continue;
    const at = columns.name[index] ?? 0;
    if (name.equals(bytes.subarray(at, at + name.length))) found.push(index);
  }
  return found;
}

function refuseOther(
  list: ImaList,
  index: number,
  digests: ReadonlySet<string>,
  firstEntry: number,
): Finding[] {
  const { name, digest } = imaEntry(list, index);
  const hex = toHex(digest?.value ?? new Uint8Array());
  if (digest && isFileDigestName(digest.algo) && digests.has(hex)) return [];
  const path = printable(name);
  const found = digest ? `${digest.algo}:${hex}` : 'without a digest that says its algorithm';
  return [
    {
      rule: 'ima.policy',
      pcr: IMA_PCR,
      message: `${path} is ${found}: an IMA policy that is not one of those that are named`,
      file: { path, entry: firstEntry + index },
      found,
      expected: [...digests].slice(0, NAMED),
      remedy: 'after an update of it, add its digest to ima.measured-policy; else restore it, and reboot',
    },
  ];
}

function notMeasured(path: string, digests: ReadonlySet<string>): Finding {
  return {
    rule: 'ima.policy',
    pcr: IMA_PCR,
    message: `${path} was not measured: which IMA policy decides what is measured is not known`,
    expected: [...digests].slice(0, NAMED),
    remedy:
      'boot the node with ima_policy=tcb, and load the policy by its path (systemd does from /etc/ima/ima-policy)',
  };
}
