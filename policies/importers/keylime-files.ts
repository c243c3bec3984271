import Type from 'typebox';
import Value from 'typebox/value';
import type { PolicyDocument } from '../language/schema.ts';
import type { KeylimeRules } from './keylime.ts';
import type { Converted } from './keylime-boot.ts';
import { globsOf } from './keylime-text.ts';

type ImaSection = NonNullable<PolicyDocument['ima']>;

const VerificationKeys = Type.Object({ pubkeys: Type.Array(Type.String()) });

/**
 * The section `ima` that takes the place of a Keylime runtime policy, but for its digests, which a set has.
 *
 * @param set id of the set that was imported from it
 */
export function filesOfRuntimePolicy(rules: KeylimeRules, set: string): Converted<ImaSection> {
  const excludes = rules.excludes.map((pattern) => ({ pattern, globs: globsOf(pattern) }));
  const unread = excludes.filter(({ globs }) => globs.length === 0);
  const keys = keysOf(rules.verificationKeys);
  const keyrings = keyringsOf(rules);
  const buffers = Object.entries(rules.buffers);
  const exclude = [...new Set(excludes.flatMap(({ globs }) => globs))];
  return {
    section: {
      allow: [set],
      ...(exclude.length > 0 ? { exclude } : {}),
      ...(keys.length > 0 ? { keys } : {}),
      ...(keyrings.length > 0 ? { keyrings: Object.fromEntries(keyrings) } : {}),
      ...(buffers.length > 0
        ? { buffers: Object.fromEntries(buffers.map(([name, all]) => [name, [...all]])) }
        : {}),
    },
    notes: [
      ...unread.map(
        ({ pattern }) =>
          `exclude: the pattern ${JSON.stringify(pattern)} is for a person: globs cover whole paths`,
      ),
      ...(keys.length > 0
        ? ['keys: name for each key the paths that it may sign; Keylime lets it sign any']
        : []),
      ...(rules.ignoredKeyrings.includes('*')
        ? ['keyrings: Keylime ignores all of them; name those that the nodes have']
        : []),
      'violations: Keylime lets files pass that were changed in use, unless it is told otherwise; here they fail but those in violations.accept',
    ],
  };
}

function keyringsOf({ keyrings, ignoredKeyrings }: KeylimeRules): [string, { keys: 'any' | string[] }][] {
  const named = Object.entries(keyrings).map(([name, keys]): [string, { keys: string[] }] => [
    name,
    { keys: [...keys] },
  ]);
  const ignored = ignoredKeyrings
    .filter((name) => name !== '*')
    .map((name): [string, { keys: 'any' }] => [name, { keys: 'any' }]);
  return [...named, ...ignored];
}

/** Base64 of SubjectPublicKeyInfo, in a text that is JSON itself. */
function keysOf(text: string): NonNullable<ImaSection['keys']> {
  const value = parseOrNothing(text);
  if (!Value.Check(VerificationKeys, value)) return [];
  return value.pubkeys.map((base64, index) => ({
    id: `keylime-${index + 1}`,
    key: `-----BEGIN PUBLIC KEY-----\n${(base64.match(/.{1,64}/g) ?? []).join('\n')}\n-----END PUBLIC KEY-----\n`,
    paths: ['/usr/**', '/opt/**'],
  }));
}

function parseOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
