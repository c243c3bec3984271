import type { BootPolicy, BootRules, DigestRule, SignatureMatch } from '../boot/boot-rules.ts';
import type { Grant } from './diff-rules.ts';

type Judged = Exclude<BootRules, { profile: 'no-log' }>;

/** What one section `boot` allows and the other does not. */
export function bootGrants(rules: BootRules | undefined, other: BootRules | undefined): Grant[] {
  const judged = (one: BootRules | undefined) => (one && one.profile !== 'no-log' ? one : undefined);
  const [own, theirs] = [judged(rules), judged(other)];
  if (!theirs) return [];
  if (!own) return [grant('any boot: no boot log is judged')];
  return [
    ...(own.profile === theirs.profile ? [] : [grant(`boots of profile ${own.profile}`)]),
    ...(own.secureBoot === 'any' && theirs.secureBoot === 'required' ? [grant('Secure Boot off')] : []),
    ...digestGrants('application', own.applications, theirs.applications),
    ...digestGrants('file', own.files, theirs.files),
    ...digestGrants('option ROM', own.optionRoms, theirs.optionRoms),
    ...digestGrants('firmware', own.firmware, theirs.firmware),
    ...versionGrants(own, theirs),
    ...matchGrants('authority', own.authorities, theirs.authorities),
    ...listGrants(own, theirs),
    ...[...theirs.sbat]
      .filter(([component, floor]) => (own.sbat.get(component) ?? 0) < floor)
      .map(([component, floor]) => grant(`${component} that is not revoked below generation ${floor}`)),
    ...[...own.acceptedStates]
      .filter((state) => !theirs.acceptedStates.has(state))
      .map((state) => grant(`firmware that says ${JSON.stringify(state)}`)),
    ...commandLineGrants(own.commandLine, theirs.commandLine),
    ...sectionGrants(own, theirs),
    ...(own.overrides === 'any' && theirs.overrides === 'none'
      ? [grant('add-ons, credentials and extensions')]
      : []),
  ];
}

function grant(message: string): Grant {
  return { what: 'boot', message };
}

type Digests = DigestRule<readonly string[]> | 'signed' | 'any';

function digestGrants(what: string, own: Digests, theirs: Digests): Grant[] {
  if (theirs === 'any' || own === theirs) return [];
  if (own === 'any') return [grant(`any ${what}`)];
  if (own === 'signed') return [grant(`any ${what} that Secure Boot lets run`)];
  const before = theirs === 'signed' ? { allow: new Set<string>(), sets: [] } : theirs;
  return [
    ...[...own.allow]
      .filter((digest) => !before.allow.has(digest))
      .map((digest) => grant(`${what} ${digest}`)),
    ...own.sets.filter((id) => !before.sets.includes(id)).map((id) => grant(`${what}s of digest set ${id}`)),
  ];
}

function versionGrants({ firmwareVersions: own }: Judged, { firmwareVersions: theirs }: Judged): Grant[] {
  if (theirs.length === 0) return [];
  if (own.length === 0) return [grant('any firmware version')];
  return own
    .filter((one) => !theirs.includes(one))
    .map((one) => grant(`firmware version ${JSON.stringify(one)}`));
}

function matchGrants(
  what: string,
  own: readonly SignatureMatch[] | undefined,
  theirs: readonly SignatureMatch[] | undefined,
): Grant[] {
  if (!theirs) return [];
  if (!own) return [grant(`any ${what}`)];
  const known = new Set(theirs.map(keyOf));
  return own.filter((match) => !known.has(keyOf(match))).map((match) => grant(`${what} ${keyOf(match)}`));
}

function keyOf({ certificate, image, owner }: SignatureMatch): string {
  const parts = { certificate, image, owner };
  return Object.entries(parts)
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${value}`]))
    .join(' of ');
}

function listGrants(own: Judged, theirs: Judged): Grant[] {
  return [...theirs.lists].flatMap(([name, rule]) => {
    const mine = own.lists.get(name);
    const included = new Set(mine?.include.map(keyOf));
    return [
      ...matchGrants(`entry of ${name}`, mine?.only, rule.only),
      ...rule.include
        .filter((match) => !included.has(keyOf(match)))
        .map((match) => grant(`${name} without ${keyOf(match)}`)),
    ];
  });
}

function commandLineGrants(own: BootPolicy['commandLine'], theirs: BootPolicy['commandLine']): Grant[] {
  if (theirs === 'any') return [];
  if (own === 'any') return [grant('any command line')];
  const texts = (globs: readonly { readonly text: string }[]) => new Set(globs.map(({ text }) => text));
  const [required, forbidden] = [texts(own.require), texts(own.forbid)];
  const lines = own.anyOf.length === 0 ? (theirs.anyOf.length === 0 ? [] : ['any']) : own.anyOf;
  return [
    ...lines
      .filter((line) => theirs.anyOf.length > 0 && !theirs.anyOf.includes(line))
      .map((line) => grant(`command line ${JSON.stringify(line)}`)),
    ...theirs.require
      .filter(({ text }) => !required.has(text))
      .map(({ text }) => grant(`a command line without ${text}`)),
    ...theirs.forbid
      .filter(({ text }) => !forbidden.has(text))
      .map(({ text }) => grant(`a command line with ${text}`)),
  ];
}

function sectionGrants(own: Judged, theirs: Judged): Grant[] {
  return [...theirs.sections].flatMap(([name, digests]) => {
    const mine = own.sections.get(name);
    if (!mine) return [grant(`any section ${name}`)];
    return [...mine]
      .filter((digest) => !digests.has(digest))
      .map((digest) => grant(`section ${name} ${digest}`));
  });
}
