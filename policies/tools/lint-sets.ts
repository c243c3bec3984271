import type { DigestSet } from '../digests/digest-set.ts';
import type { PolicyDocument } from '../language/schema.ts';
import type { Remark } from './lint.ts';

/** A set as a policy names it. */
interface NamedSet {
  readonly id: string;
  readonly path: Remark['path'];
  /** Whether it is to allow EFI images, or files. */
  readonly ofImages: boolean;
}

/** Sets that are learned, that are named and missing or of no use there, or that are given and not named. */
export function lintSets(
  policy: PolicyDocument,
  sets: readonly DigestSet[],
  stored: ReadonlySet<string> | undefined,
): Remark[] {
  const given = new Map(sets.map((set) => [set.id, set]));
  const named = namedSets(policy);
  const ids = new Set(named.map(({ id }) => id));
  const unused = [...given.keys()].filter((id) => !ids.has(id)).map(unusedSet);
  return [...named.flatMap((one) => lintSet(one, given, stored)), ...unused];
}

function namedSets({ ima, boot }: PolicyDocument): NamedSet[] {
  const files = (ima?.allow ?? []).map((id, index) => ({
    id,
    path: ['ima', 'allow', index],
    ofImages: false,
  }));
  if (!boot || boot.profile === 'no-log') return files;
  const keys = ['applications', 'files', 'option-roms', 'firmware'] as const;
  const started = keys.flatMap((key) => {
    const rule = boot[key];
    const ids = typeof rule === 'object' && rule.sets ? rule.sets : [];
    const ofImages = key === 'applications' || key === 'option-roms';
    return ids.map((id, index) => ({ id, path: ['boot', key, 'sets', index], ofImages }));
  });
  return [...files, ...started];
}

function lintSet(
  { id, path, ofImages }: NamedSet,
  given: ReadonlyMap<string, DigestSet>,
  stored: ReadonlySet<string> | undefined,
): Remark[] {
  const remarks: Remark[] = [];
  if (ofImages && given.get(id)?.imageDigests === 0) {
    const problem = 'the set holds no digest of an EFI image, so it allows nothing here';
    const advice = 'import it from packages or a file system: SBOMs and lists of nodes know files alone';
    remarks.push({ code: 'set.no-images', path, problem, advice });
  }
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
  return {
    code: 'set.unused',
    path: ['ima', 'allow'],
    problem,
    advice: 'add its id to ima.allow or boot.applications',
  };
}
