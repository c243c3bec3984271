import type { ImaKeyRule, ImaRules } from '../ima-policy.ts';
import type { PathGlob } from '../path-glob.ts';
import type { Policy } from '../policy.ts';
import { bootGrants } from './diff-boot.ts';
import { globCovers } from './glob-covers.ts';

/** Something that one policy allows and another one does not. */
export interface Grant {
  readonly what:
    | 'pcr'
    | 'quote'
    | 'ima'
    | 'match'
    | 'exclude'
    | 'violations'
    | 'key'
    | 'buffer'
    | 'keyring'
    | 'policy'
    | 'kexec'
    | 'boot'
    | 'when';
  readonly message: string;
}

/** What `policy` allows and `other` does not, but for files by digest. Called both ways it is a comparison. */
export function grantsBeside(policy: Policy, other: Policy): Grant[] {
  return [
    ...pcrGrants(policy, other),
    ...quoteGrants(policy, other),
    ...bootGrants(policy.boot, other.boot),
    ...imaGrants(policy.ima, other.ima),
    ...whenGrants(policy, other),
  ];
}

function pcrGrants(policy: Policy, other: Policy): Grant[] {
  const values = valuesByPcr(policy);
  return [...valuesByPcr(other)].flatMap(([pcr, theirs]): Grant[] => {
    const own = values.get(pcr);
    if (!own) return [{ what: 'pcr', message: `PCR ${pcr}: any value but ${oneOf(theirs)}` }];
    const more = [...own].filter((value) => !theirs.has(value));
    return more.map((value) => ({ what: 'pcr', message: `PCR ${pcr}: ${value}` }));
  });
}

/** Rules for one PCR must all hold; `7` and `07` are two keys. */
function valuesByPcr({ pcrs: { bank, rules } }: Policy): Map<number, ReadonlySet<string>> {
  const values = new Map<number, ReadonlySet<string>>();
  for (const { pcr, anyOf } of rules) {
    const named = [...anyOf].map((digest) => `${bank}:${digest}`);
    const before = values.get(pcr);
    values.set(pcr, new Set(before ? named.filter((value) => before.has(value)) : named));
  }
  return values;
}

function quoteGrants(policy: Policy, other: Policy): Grant[] {
  const missing = other.pcrs.selection.filter((pcr) => !policy.pcrs.selection.includes(pcr));
  return missing.map((pcr) => ({ what: 'quote', message: `a quote without PCR ${pcr}` }));
}

function imaGrants(rules: ImaRules | undefined, other: ImaRules | undefined): Grant[] {
  if (!rules) return other ? [{ what: 'ima', message: 'any file: no files are judged' }] : [];
  if (!other) return [];
  const grants: Grant[] = [];
  if (rules.anyPath && !other.anyPath)
    grants.push({ what: 'match', message: 'files of sets at any path (match: anywhere)' });
  if (rules.kexec && !other.kexec)
    grants.push({ what: 'kexec', message: 'a kernel that was started by kexec' });
  for (const text of beyond(rules.exclude, other.exclude))
    grants.push({ what: 'exclude', message: `any bytes at ${text} (exclude)` });
  for (const text of beyond(rules.acceptedViolations, other.acceptedViolations))
    grants.push({ what: 'violations', message: `changes in use at ${text} (violations)` });
  return [
    ...grants,
    ...keyGrants(rules.keys, other.keys),
    ...bufferGrants(rules.buffers, other.buffers),
    ...keyringGrants(rules.keyrings, other.keyrings),
    ...policyGrants(rules.measuredPolicy, other.measuredPolicy),
  ];
}

function keyringGrants(keyrings: ImaRules['keyrings'], others: ImaRules['keyrings']): Grant[] {
  return [...keyrings].flatMap(([name, { keys, paths }]): Grant[] => {
    const theirs = others.get(name);
    const more = keys === 'any' ? ['any'] : [...keys];
    const isNew = (key: string) => theirs?.keys !== 'any' && (key === 'any' || !theirs?.keys.has(key));
    return [
      ...more
        .filter(isNew)
        .map((key): Grant => ({ what: 'keyring', message: `keyring ${name}: key ${key}` })),
      ...[...beyond(paths, theirs?.paths ?? [])].map(
        (text): Grant => ({ what: 'keyring', message: `files at ${text} signed by keys of keyring ${name}` }),
      ),
    ];
  });
}

function policyGrants(own: ImaRules['measuredPolicy'], others: ImaRules['measuredPolicy']): Grant[] {
  return [...others].flatMap(([path, theirs]): Grant[] => {
    const digests = own.get(path);
    if (!digests)
      return [{ what: 'policy', message: `any IMA policy, or none that is measured, at ${path}` }];
    const more = [...digests].filter((digest) => !theirs.has(digest));
    return more.map((digest) => ({ what: 'policy', message: `the IMA policy ${digest} at ${path}` }));
  });
}

/** Conditions of the other policy that this one does not have: compared by what they say, not by name. */
function whenGrants({ when = [] }: Policy, { when: theirs = [] }: Policy): Grant[] {
  const own = new Set(when.map(({ expression }) => expression));
  return theirs
    .filter(({ expression }) => !own.has(expression))
    .map(({ expression }) => ({ what: 'when', message: `what does not satisfy: ${expression}` }));
}

/** Patterns that no single one of the others covers. */
function beyond(globs: readonly PathGlob[], others: readonly PathGlob[]): Set<string> {
  const same = new Set(others.map(({ text }) => text));
  const left = globs.filter(
    ({ text }) => !same.has(text) && !others.some((other) => globCovers(other.text, text)),
  );
  return new Set(left.map(({ text }) => text));
}

function keyGrants(keys: readonly ImaKeyRule[], others: readonly ImaKeyRule[]): Grant[] {
  return keys.flatMap(({ id, key: { fingerprint }, paths }) => {
    const theirs = others.filter(({ key }) => key.fingerprint === fingerprint).flatMap((rule) => rule.paths);
    return [...beyond(paths, theirs)].map(
      (text): Grant => ({ what: 'key', message: `files at ${text} signed by ${id} (sha256:${fingerprint})` }),
    );
  });
}

function bufferGrants(buffers: ImaRules['buffers'], others: ImaRules['buffers']): Grant[] {
  return [...buffers].flatMap(([name, digests]): Grant[] => {
    const theirs = others.get(name);
    if (theirs === 'any') return [];
    if (digests === 'any') return [{ what: 'buffer', message: `buffer ${name}: anything${butFor(theirs)}` }];
    const more = [...digests].filter((digest) => !theirs?.has(digest));
    return more.map((digest) => ({ what: 'buffer', message: `buffer ${name}: ${digest}` }));
  });
}

function butFor(digests: ReadonlySet<string> | undefined): string {
  return digests ? ` but ${oneOf(digests)}` : '';
}

function oneOf(values: ReadonlySet<string>): string {
  const [first = 'none', ...more] = values;
  return more.length === 0 ? first : `the ${values.size} that are named`;
}
