import { printable } from '../../core/bytes/encoding.ts';
import { ParseError } from '../../core/errors.ts';
import { parseCelLog, parseEventLog, signatureCertificate } from '../../core/eventlog/index.ts';
import type { HashName } from '../../core/tpm/constants.ts';
import type { PcrValues } from '../../core/tpm/pcr-selection.ts';
import type { BootSection } from '../language/boot-schema.ts';
import { bootApplications } from './applications.ts';
import { type BootProfile, PROFILE_PCRS, type SignatureListName } from './boot-rules.ts';
import { commandLines } from './command-line.ts';
import { imageSections } from './kernel-files.ts';
import { type MeasuredBoot, type MeasuredEvent, measuredBoot } from './measured.ts';
import { readSecureBoot, type SecureBootState, type TrustedSignature } from './secure-boot.ts';
import { splitEvents } from './separators.ts';

export interface BootDraftInput {
  readonly profile: Exclude<BootProfile, 'no-log'>;
  readonly bank: HashName;
  /** Quoted values. */
  readonly values: PcrValues;
  readonly firmware: Uint8Array;
  readonly userspace?: Uint8Array;
  /** What the node says of its kernel's command line: taken when the boot proves it. */
  readonly commandLine?: string;
}

type Section = Omit<BootSection, 'profile'> & { readonly profile: BootProfile };

/**
 * The section `boot` that allows exactly what a node booted. A starting point for a person: whether this boot is good is
 * not known here.
 *
 * @throws {ParseError} for logs that cannot be read
 * @throws {RangeError} when the log does not explain a register of the profile
 */
export function draftBoot(input: BootDraftInput): Section {
  const { profile, bank, values } = input;
  const firmware = parseEventLog(input.firmware);
  const userspace = input.userspace && parseCelLog(input.userspace, { tolerateTruncation: true });
  const boot = measuredBoot({ firmware, userspace }, bank, values);
  const strange = PROFILE_PCRS[profile].filter((pcr) => boot.explained.get(pcr)?.status === 'unexplained');
  if (strange.length > 0) {
    throw new RangeError(`the boot log of the node does not explain PCR ${strange.join(', ')}`);
  }
  const { before, after } = splitEvents(boot, 2);
  const roms = [...before, ...after].filter(({ content }) => content.kind !== 'text');
  const images = bootApplications(boot);
  const common = {
    profile,
    applications: images.length === 0 ? ('any' as const) : { allow: digestsOf(images) },
    'option-roms': roms.length === 0 ? ('none' as const) : { allow: digestsOf(roms) },
  };
  if (profile === 'bios') return common;
  const { state } = readSecureBoot(boot, new Set());
  return {
    ...common,
    'secure-boot': state.enabled === true ? 'required' : 'any',
    ...keysOf(state),
    ...sbatOf(profile, state),
    ...(profile === 'uki' ? sectionsOf(boot) : { files: { allow: digestsOf(files(profile, boot)) } }),
    'command-line': commandLineOf(input, boot),
  };
}

function digestsOf(events: readonly MeasuredEvent[]): string[] {
  return [...new Set(events.map(({ digest }) => digest))];
}

/** Of a stub the first event is the command line. */
function files(profile: BootProfile, boot: MeasuredBoot): readonly MeasuredEvent[] {
  return profile === 'shim-grub' ? boot.events(9) : boot.events(9).slice(1);
}

function keysOf({ enabled, lists, authorities }: SecureBootState): Partial<Section> {
  if (enabled !== true) return {};
  const named = ([key, name]: readonly [string, SignatureListName]) => {
    const entries = lists.get(name) ?? [];
    return entries.length > 0 ? [[key, { only: entries.map(matchOf) }] as const] : [];
  };
  const keys = [['pk', 'PK'] as const, ['kek', 'KEK'] as const, ['db', 'db'] as const].flatMap(named);
  const vouched = authorities.flatMap(({ signature }) =>
    signature.type === 'unknown' ? [] : [matchOf(signature)],
  );
  return {
    ...(keys.length > 0 ? { keys: Object.fromEntries(keys) } : {}),
    ...(vouched.length > 0 ? { authorities: vouched } : {}),
  };
}

function matchOf({ type, digest, data }: TrustedSignature) {
  if (type !== 'x509') return { image: digest };
  const name = nameOf(data);
  return { certificate: digest, ...(name === undefined ? {} : { name }) };
}

const MAX_NAME = 200;

function nameOf(signatureData: Uint8Array): string | undefined {
  try {
    return printable(signatureCertificate({ type: 'x509', signatureData }).subject.text).slice(0, MAX_NAME);
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    return undefined;
  }
}

// `sbat` itself is the version of the format.
function sbatOf(profile: BootProfile, { sbat }: SecureBootState): Partial<Section> {
  const floors = [...(sbat ?? [])].filter(([component]) => component !== 'sbat');
  return profile === 'shim-grub' && floors.length > 0 ? { sbat: Object.fromEntries(floors) } : {};
}

function sectionsOf(boot: MeasuredBoot): Partial<Section> {
  const found = imageSections(boot).sections.map(({ name, event }) => [name, [event.digest]]);
  return found.length > 0 ? { sections: Object.fromEntries(found) } : {};
}

function commandLineOf(
  { profile, commandLine }: BootDraftInput,
  boot: MeasuredBoot,
): 'any' | { 'any-of': string[] } {
  const said = commandLine === undefined ? [] : [commandLine];
  const lines = commandLines(profile, boot, said);
  const texts = lines.flatMap(({ text }) => text ?? []);
  return texts.length > 0 && texts.length === lines.length ? { 'any-of': [...new Set(texts)] } : 'any';
}
