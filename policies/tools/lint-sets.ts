import type { DigestSet } from '../digests/digest-set.ts';
import type { Remark } from './lint.ts';

/** Sets that are learned, that are named and missing, or that are given and not named. */
export function lintSets(
  allow: readonly string[],
  sets: readonly DigestSet[],
  stored: ReadonlySet<string> | undefined,
): Remark[] {
  const given = new Map(sets.map((set) => [set.id, set]));
  const named = allow.flatMap((id, index) => lintSet(id, ['ima', 'allow', index], given, stored));
  const unused = [...given.keys()].filter((id) => !allow.includes(id)).map(unusedSet);
  return [...named, ...unused];
}

function lintSet(
  id: string,
  path: Remark['path'],
  given: ReadonlyMap<string, DigestSet>,
  stored: ReadonlySet<string> | undefined,
): Remark[] {
  const remarks: Remark[] = [];
  if (given.get(id)?.sources.some(({ kind }) => kind === 'learned')) {
    const problem = 'the set was learned from a node: what was wrong with that node is allowed to all';
    const advice = 'make a set from packages, an SBOM or an image, and use this one to find what is missing';
    remarks.push({ code: 'set.learned', path, problem, advice });
  }
  if (given.size > 0 && !given.has(id)) {
    const problem = 'this set was not given, so its files were not looked at';
    remarks.push({ code: 'set.not-given', path, problem, advice: 'give its file with --set' });
  }
  if (stored && !stored.has(id)) {
    const problem = 'the verifier does not have this set, and will refuse the policy';
    const advice = 'store it first: assay digests add FILE --name NAME';
    remarks.push({ code: 'set.not-stored', path, problem, advice });
  }
  return remarks;
}

function unusedSet(id: string): Remark {
  const problem = `the set ${id} was given, and the policy does not name it`;
  return { code: 'set.unused', path: ['ima', 'allow'], problem, advice: 'add its id to ima.allow' };
}
