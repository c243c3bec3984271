import { printable } from '../../core/bytes/encoding.ts';
import type { DigestSet } from '../digests/digest-set.ts';
import type { PathGlob } from '../path-glob.ts';
import { globCovers } from './glob-covers.ts';
import type { LintedIma, Remark } from './lint.ts';
import { coversEverything, type PathRisk, pathRisk } from './path-risk.ts';

const WHAT: Readonly<Record<PathRisk, string>> = {
  wide: 'covers directories of programs or of what they are configured with',
  program: 'is in a directory of programs',
  writable: 'is where others than root may put programs',
};

/** Exclusions that are too wide, useless, or hide files that the policy knows. */
export function lintExclusions({ rules }: LintedIma, sets: readonly DigestSet[]): Remark[] {
  const named = sets.filter(({ id }) => rules.allow.includes(id));
  const known = rules.files ? [rules.files, ...named] : named;
  const hidden = hiddenBy(rules.exclude, known);
  return rules.exclude.flatMap((glob, index): Remark[] => [
    ...lintRisk('exclude', glob, ['ima', 'exclude', index], 'any bytes are accepted there'),
    ...lintRepeated(glob, index, rules.exclude),
    ...(hidden[index] ? [hides(glob, index, hidden[index])] : []),
  ]);
}

/** Accepted violations where programs are. */
export function lintViolations({ rules }: LintedIma): Remark[] {
  return rules.acceptedViolations.flatMap((glob, index) =>
    lintRisk(
      'violations',
      glob,
      ['ima', 'violations', 'accept', index],
      'files there may change while they are in use, and what ran is not known',
    ),
  );
}

/** Keys for everything, and for what is not judged anyway. */
export function lintKeys({ section, rules }: LintedIma): Remark[] {
  return (section.keys ?? []).flatMap(({ id, paths }, at): Remark[] => {
    const path = ['ima', 'keys', at, 'paths'];
    const excluded = paths.flatMap((text, index): Remark[] => {
      const by = rules.exclude.find((glob) => globCovers(glob.text, text));
      if (!by) return [];
      const problem = `${text} is excluded by ${by.text}: signatures by ${id} are not looked at there`;
      const advice = 'take the exclusion out, or this path';
      return [{ code: 'key.excluded', path: [...path, index], problem, advice }];
    });
    if (!coversEverything(paths)) return excluded;
    const problem = `${id} may sign files of the system and beside it: whoever has the key can replace all`;
    const advice = 'name the directories that hold what this key signs';
    return [{ code: 'key.everything', path, problem, advice }, ...excluded];
  });
}

/** Buffers that decide what runs, with any content: command lines of kernels, and keyrings. */
export function lintBuffers({ rules }: LintedIma): Remark[] {
  return [...rules.buffers].flatMap(([name, digests]): Remark[] => {
    const decides = name === 'kexec-cmdline' || name.startsWith('.');
    if (digests !== 'any' || !decides) return [];
    const what = name === 'kexec-cmdline' ? 'another kernel may be started with' : 'the keyring may be given';
    const problem = `${what} any ${name === 'kexec-cmdline' ? 'command line' : 'key'}`;
    const advice = 'name the digests that it may have';
    return [{ code: 'buffer.any', path: ['ima', 'buffers', name], problem, advice }];
  });
}

/** Keyrings that take any key, whose signatures then count. */
export function lintKeyrings({ section }: LintedIma): Remark[] {
  return Object.entries(section.keyrings ?? {}).flatMap(([name, { keys, paths = [] }]): Remark[] => {
    if (keys !== 'any') return [];
    const what = paths.length > 0 ? `, and files that it signs are allowed at ${paths.join(', ')}` : '';
    const problem = `any key may come into the keyring ${name}${what}`;
    const advice = 'name the SHA-256 of the certificates that may come into it';
    return [{ code: 'keyring.any', path: ['ima', 'keyrings', name, 'keys'], problem, advice }];
  });
}

function lintRisk(section: string, { text }: PathGlob, path: Remark['path'], effect: string): Remark[] {
  const risk = pathRisk(text);
  if (risk === undefined) return [];
  const advice =
    risk === 'program'
      ? 'put the digests of the file into ima.files or a set'
      : 'name the files that must be left out one by one, or allow their digests';
  return [{ code: `${section}.${risk}`, path, problem: `${text} ${WHAT[risk]}: ${effect}`, advice }];
}

function lintRepeated({ text }: PathGlob, index: number, all: readonly PathGlob[]): Remark[] {
  const path = ['ima', 'exclude', index];
  const advice = 'take one of them out';
  const first = all.findIndex((other) => other.text === text);
  if (first < index) {
    return [{ code: 'exclude.duplicate', path, problem: `${text} stands here twice`, advice }];
  }
  // Of two that cover each other only the second one is told.
  const by = all.find(
    (other, at) =>
      other.text !== text && globCovers(other.text, text) && (at < index || !globCovers(text, other.text)),
  );
  if (!by) return [];
  return [{ code: 'exclude.shadowed', path, problem: `${text} is covered by ${by.text}`, advice }];
}

interface Hidden {
  count: number;
  readonly example: string;
}

function hiddenBy(globs: readonly PathGlob[], sets: readonly DigestSet[]): (Hidden | undefined)[] {
  const hidden: (Hidden | undefined)[] = globs.map(() => undefined);
  if (globs.length === 0) return hidden;
  for (const set of sets) {
    for (const { path } of set.entries()) {
      globs.forEach((glob, index) => {
        if (!glob.matches(path)) return;
        const found = hidden[index];
        if (found) found.count += 1;
        else hidden[index] = { count: 1, example: printable(path) };
      });
    }
  }
  return hidden;
}

function hides({ text }: PathGlob, index: number, { count, example }: Hidden): Remark {
  const files =
    count === 1
      ? `one file that is allowed by digest, ${example}`
      : `${count} files that are allowed by digest, such as ${example}`;
  return {
    code: 'exclude.hides',
    path: ['ima', 'exclude', index],
    problem: `${text} hides ${files}: other bytes there pass as well`,
    advice: 'take the exclusion out or make it narrower',
  };
}
