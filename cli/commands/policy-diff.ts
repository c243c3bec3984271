import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { AssayError } from '../../core/errors.ts';
import { DigestSet } from '../../policies/digests/digest-set.ts';
import { parsePolicy } from '../../policies/language/parse.ts';
import { openPolicy } from '../../policies/language/signed.ts';
import type { Policy } from '../../policies/policy.ts';
import { diffPolicies, type PolicyDiff, setsToCompare } from '../../policies/tools/diff.ts';
import { type CommandContext, show } from '../context.ts';
import { readSet } from '../digests/read-set.ts';
import { EXIT } from '../exit-codes.ts';
import { renderPolicyDiff } from '../output/policy-diff.ts';
import { readPolicyFile } from '../policy-files.ts';

export function policyDiffCommand(policy: Command, context: () => CommandContext): void {
  policy
    .command('diff <before> <after>')
    .description('what becomes allowed and what forbidden; exit code 1 when something does')
    .option('--set <file...>', 'digest sets that the policies name; others come from the verifier')
    .addHelpText('after', '\nEach is a file, or NAME or NAME@VERSION of a stored policy.')
    .action((before: string, after: string, options: { set?: string[] }) =>
      diff(context(), [before, after], options.set ?? []),
    );
}

async function diff(
  context: CommandContext,
  [before, after]: readonly [string, string],
  setFiles: readonly string[],
): Promise<void> {
  const given = await Promise.all(setFiles.map(readSet));
  const [from, to] = [await readPolicy(context, before), await readPolicy(context, after)];
  const sets = await findSets(context, setsToCompare(from, to), given);
  const result = diffPolicies(from, to, sets);
  const isSame = Object.values(result).every((changes) => changes.length === 0);
  if (!isSame) process.exitCode = EXIT.no;
  show<PolicyDiff>(context, result, (value) =>
    isSame ? `${before} and ${after} allow the same` : renderPolicyDiff(value),
  );
}

/** A file where there is one of that name; `name@version` names what is stored in any case. */
async function readPolicy(context: CommandContext, name: string): Promise<Policy> {
  const stored = /^([a-z0-9][a-z0-9.-]{0,63})(?:@([1-9][0-9]{0,8}))?$/.exec(name);
  const isFile = stored === null || (stored[2] === undefined && existsSync(name));
  if (isFile) return (await readPolicyFile(name)).policy;
  const text = await readStored(context, stored).catch(explain(`there is no file ${name}`));
  return parsePolicy(openPolicy(text).text, name);
}

async function readStored(context: CommandContext, [, name = '', version]: RegExpExecArray): Promise<string> {
  const api = await context.api();
  const path = `/v1/policies/${encodeURIComponent(name)}`;
  const { document } = await api.get<{ document: string }>('verifier', path, { version });
  return document;
}

/** Says what else could have been meant: who has no profile meant a file. */
function explain(what: string) {
  return (cause: unknown): never => {
    if (!(cause instanceof AssayError)) throw cause;
    throw new AssayError(cause.code, `${what}; ${cause.message}`, { cause });
  };
}

async function findSets(
  context: CommandContext,
  ids: ReadonlySet<string>,
  given: readonly DigestSet[],
): Promise<ReadonlyMap<string, DigestSet>> {
  const sets = new Map(given.map((set) => [set.id, set]));
  for (const id of ids) {
    if (sets.has(id)) continue;
    sets.set(id, await fetchSet(context, id).catch(explain(`${id} is not given with --set`)));
  }
  return sets;
}

async function fetchSet(context: CommandContext, id: string): Promise<DigestSet> {
  const api = await context.api();
  const set = DigestSet.parse(
    await api.getBytes('verifier', `/v1/digest-sets/${encodeURIComponent(id)}/content`),
  );
  // The id is the hash of the content: nothing else may stand for it.
  if (set.id === id) return set;
  throw new AssayError('unavailable', `the verifier sent the digest set ${set.id} when asked for ${id}`);
}
