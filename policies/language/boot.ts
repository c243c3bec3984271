import { hash } from 'node:crypto';
import type { DocumentSource } from '../../core/document.ts';
import { type ErrorDetail, ParseError } from '../../core/errors.ts';
import { parseCertificate } from '../../core/x509/certificate.ts';
import { parsePemBundle } from '../../core/x509/pem.ts';
import type {
  BootProfile,
  BootRules,
  DigestRule,
  SignatureListName,
  SignatureListRule,
  SignatureMatch,
  WordGlob,
} from '../boot/boot-rules.ts';
import { parameterForm } from '../boot/kernel-words.ts';
import type { BootSection } from './boot-schema.ts';

type Path = readonly (string | number)[];
type Tell = (path: Path, problem: string) => void;
type Key = keyof BootSection;

// What each way of booting has a meaning for; the rest would be a rule that never judges.
const UEFI: readonly Key[] = [
  ...(['profile', 'secure-boot', 'keys', 'dbx', 'authorities', 'applications'] as const),
  ...(['option-roms', 'firmware', 'accept-states', 'files', 'command-line'] as const),
];
const MEANINGFUL: Readonly<Record<BootProfile, readonly Key[]>> = {
  'shim-grub': [...UEFI, 'sbat'],
  uki: [...UEFI, 'sections', 'overrides'],
  'direct-kernel': UEFI,
  bios: ['profile', 'applications', 'option-roms', 'firmware'],
  'no-log': ['profile'],
};
/** What must be said, if only to say `any`: a reader of the policy is to see what is not judged. */
const NEEDED: Readonly<Record<BootProfile, readonly Key[]>> = {
  'shim-grub': ['applications', 'files', 'command-line'],
  uki: ['applications', 'command-line'],
  'direct-kernel': ['applications', 'files', 'command-line'],
  bios: ['applications'],
  'no-log': [],
};

/** Compiles the section `boot`; what the schema could not see becomes a problem with its place. */
export function compileBoot(
  section: BootSection,
  digestHexDigits: number,
  source: DocumentSource,
  problems: ErrorDetail[],
): BootRules {
  const tell: Tell = (path, problem) => problems.push(source.locate(['boot', ...path], problem));
  const { profile } = section;
  checkKeys(section, tell);
  if (profile === 'no-log') return { profile };
  checkDigestSizes(section, digestHexDigits, tell);
  const { keys = {}, dbx, sbat = {}, authorities, applications = 'any', firmware = 'any' } = section;
  const secureBoot = section['secure-boot'] ?? (profile === 'bios' ? 'any' : 'required');
  if (applications === 'signed' && secureBoot === 'any')
    tell(['applications'], 'signed means nothing without secure-boot: required');
  const lists = new Map<SignatureListName, SignatureListRule>();
  if (keys.pk) lists.set('PK', compileList(keys.pk, ['keys', 'pk'], tell));
  if (keys.kek) lists.set('KEK', compileList(keys.kek, ['keys', 'kek'], tell));
  if (keys.db) lists.set('db', compileList(keys.db, ['keys', 'db'], tell));
  if (dbx) lists.set('dbx', { include: dbx.include.map((image) => ({ image })) });
  return {
    ...{ profile, secureBoot, lists },
    sbat: new Map(Object.entries(sbat)),
    authorities: authorities && compileMatches(authorities, ['authorities'], tell),
    applications: typeof applications === 'string' ? applications : digestRule(applications),
    files: ruleOf(section.files ?? 'any'),
    optionRoms: ruleOf(section['option-roms'] ?? 'none'),
    firmware: firmwareRule(firmware),
    firmwareVersions: firmware === 'any' ? [] : (firmware.versions ?? []),
    acceptedStates: new Set(section['accept-states']),
    commandLine: compileCommandLine(section, tell),
    sections: new Map(Object.entries(section.sections ?? {}).map(([name, hex]) => [name, new Set(hex)])),
    overrides: section.overrides ?? 'none',
  };
}

function checkKeys(section: BootSection, tell: Tell): void {
  const { profile } = section;
  for (const key of Object.keys(section)) {
    if (!MEANINGFUL[profile].some((one) => one === key))
      tell([key], `has no meaning with profile ${profile}: leave it out, or choose another profile`);
  }
  for (const key of NEEDED[profile]) {
    if (section[key] === undefined)
      tell([], `needs ${key} with profile ${profile}; say any to judge none of it`);
  }
}

interface Digests {
  readonly allow?: readonly string[];
  readonly sets?: readonly string[];
}

function digestRule({ allow = [], sets = [] }: Digests): DigestRule<readonly string[]> {
  return { allow: new Set(allow), sets };
}

function ruleOf(rule: Digests | 'any' | 'none'): DigestRule<readonly string[]> | 'any' {
  if (rule === 'any') return rule;
  return rule === 'none' ? digestRule({}) : digestRule(rule);
}

// One that only names versions says nothing of the code.
function firmwareRule(firmware: NonNullable<BootSection['firmware']>): DigestRule<readonly string[]> | 'any' {
  if (firmware === 'any' || (firmware.allow === undefined && firmware.sets === undefined)) return 'any';
  return digestRule(firmware);
}

function checkDigestSizes(section: BootSection, digits: number, tell: Tell): void {
  const check = (list: readonly string[] | undefined, path: Path) =>
    list?.forEach((digest, index) => {
      if (digest.length !== digits)
        tell(
          [...path, index],
          `has ${digest.length} hex digits, a digest of the policy's bank has ${digits}`,
        );
    });
  for (const key of ['applications', 'files', 'option-roms', 'firmware'] as const) {
    const rule = section[key];
    if (typeof rule === 'object') check(rule.allow, [key, 'allow']);
  }
  for (const [name, list] of Object.entries(section.sections ?? {})) check(list, ['sections', name]);
}

type ListSection = NonNullable<NonNullable<BootSection['keys']>['pk']>;
type MatchSection = NonNullable<BootSection['authorities']>[number];

function compileList({ only, include = [] }: ListSection, path: Path, tell: Tell): SignatureListRule {
  return {
    ...(only ? { only: compileMatches(only, [...path, 'only'], tell) } : {}),
    include: compileMatches(include, [...path, 'include'], tell),
  };
}

function compileMatches(matches: readonly MatchSection[], path: Path, tell: Tell): SignatureMatch[] {
  return matches.map(({ certificate, image, owner }, index) => {
    const at = [...path, index];
    if (certificate === undefined && image === undefined && owner === undefined)
      tell(at, 'matches everything: give a certificate, an image or an owner');
    if (certificate !== undefined && image !== undefined)
      tell(at, 'matches nothing: no entry is a certificate and an image');
    return {
      ...(certificate === undefined
        ? {}
        : { certificate: fingerprintOf(certificate, [...at, 'certificate'], tell) }),
      ...(image === undefined ? {} : { image }),
      ...(owner === undefined ? {} : { owner }),
    };
  });
}

function fingerprintOf(text: string, path: Path, tell: Tell): string {
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  try {
    const [der, ...more] = parsePemBundle(text);
    if (!der || more.length > 0) throw new ParseError('certificate', 0, 'is not one certificate');
    parseCertificate(der);
    return hash('sha256', der, 'hex');
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    tell(path, `is neither the hex SHA-256 of a certificate nor one as PEM: ${error.message}`);
    return '';
  }
}

function compileCommandLine(section: BootSection, tell: Tell) {
  const { 'command-line': rule = 'any', profile } = section;
  if (rule === 'any') return rule;
  const { 'any-of': anyOf = [], require = [], forbid = [] } = rule;
  if (profile === 'direct-kernel' && anyOf.length === 0)
    tell(
      ['command-line'],
      'needs any-of with profile direct-kernel: a stub measures only a digest of the command line',
    );
  return { anyOf, require: require.map(compileWord), forbid: forbid.map(compileWord) };
}

/** A word in which `*` is any characters, its name as Linux takes it; time is linear for each star. */
function compileWord(text: string): WordGlob {
  const [first = '', ...rest] = parameterForm(text).split('*');
  const last = rest.pop();
  return {
    text,
    matches(given) {
      const word = parameterForm(given);
      if (last === undefined) return word === first;
      if (!word.startsWith(first)) return false;
      let at = first.length;
      for (const part of rest) {
        const found = word.indexOf(part, at);
        if (found < 0) return false;
        at = found + part.length;
      }
      return word.length - last.length >= at && word.endsWith(last);
    },
  };
}
