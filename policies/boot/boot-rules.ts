import type { DigestSet } from '../digests/digest-set.ts';

/**
 * Which way a machine boots, and so which events may stand in which register: a log proves digests and their order, never
 * the type of an event (rule `log.payload`).
 */
export type BootProfile =
  | 'shim-grub' // UEFI, shim, GRUB: the distributions' way
  | 'uki' // UEFI, systemd-boot or none, a unified kernel image
  | 'direct-kernel' // UEFI starts the kernel by its EFI stub, as QEMU -kernel does
  | 'bios' // no UEFI
  | 'no-log'; // a machine without a firmware log: its registers are judged by literal values alone

/** Digests of what was measured: of an image the Authenticode digest, of a file that GRUB read the flat one. */
export interface DigestRule<Sets> {
  /** Hex. */
  readonly allow: ReadonlySet<string>;
  readonly sets: Sets;
}

/** What must be known of an entry of PK, KEK, db or dbx; what is absent does not matter. */
export interface SignatureMatch {
  /** Hex SHA-256 of a certificate's DER. */
  readonly certificate?: string;
  /** Hex SHA-256 of an image, for an entry that is one. */
  readonly image?: string;
  /** GUID of who put the entry there. */
  readonly owner?: string;
}

export interface SignatureListRule {
  /** No other entry may be there; absent: any may. */
  readonly only?: readonly SignatureMatch[];
  /** Each of these must be there. */
  readonly include: readonly SignatureMatch[];
}

export const SIGNATURE_LISTS = ['PK', 'KEK', 'db', 'dbx'] as const;
export type SignatureListName = (typeof SIGNATURE_LISTS)[number];

export interface CommandLineRule {
  /** Whole command lines; where there are some, it must be one of them. */
  readonly anyOf: readonly string[];
  /** Words that must be there, and words that must not; `*` is any characters. */
  readonly require: readonly WordGlob[];
  readonly forbid: readonly WordGlob[];
}

export interface WordGlob {
  readonly text: string;
  matches(word: string): boolean;
}

interface Rules<Sets> {
  readonly profile: Exclude<BootProfile, 'no-log'>;
  readonly secureBoot: 'required' | 'any';
  readonly lists: ReadonlyMap<SignatureListName, SignatureListRule>;
  /** Component and the lowest generation that SbatLevel must revoke below. */
  readonly sbat: ReadonlyMap<string, number>;
  /** Which certificates or digests may have vouched for images; absent: any that the machine trusts. */
  readonly authorities: readonly SignatureMatch[] | undefined;
  /** `signed`: whatever Secure Boot let pass, so long as the authorities fit. */
  readonly applications: DigestRule<Sets> | 'signed' | 'any';
  /** Kernel, initrd, configuration: what was measured into PCR 9. */
  readonly files: DigestRule<Sets> | 'any';
  readonly optionRoms: DigestRule<Sets> | 'any';
  readonly firmware: DigestRule<Sets> | 'any';
  /** Texts of EV_S_CRTM_VERSION; empty: any. */
  readonly firmwareVersions: readonly string[];
  /** What firmware may say in PCR 7 of its own state, such as `DMA Protection Disabled`. */
  readonly acceptedStates: ReadonlySet<string>;
  readonly commandLine: CommandLineRule | 'any';
  /** Digests of sections of a unified kernel image, by name. */
  readonly sections: ReadonlyMap<string, ReadonlySet<string>>;
  /** Whether a unified kernel image may get add-ons, credentials and extensions from outside. */
  readonly overrides: 'none' | 'any';
}

/** What a policy says of a boot, compiled; sets by their ids. */
export type BootRules = { readonly profile: 'no-log' } | Rules<readonly string[]>;

/** The same with the sets at hand. */
export type BootPolicy = Rules<readonly DigestSet[]>;

/** Ids of all sets that are named. */
export function setsOfBoot(rules: BootRules): readonly string[] {
  if (rules.profile === 'no-log') return [];
  return [rules.applications, rules.files, rules.optionRoms, rules.firmware].flatMap((rule) =>
    typeof rule === 'string' ? [] : rule.sets,
  );
}

/** Joins rules with the sets that they name: see `setsOfBoot` for those that must be there. */
export function resolveBoot(
  rules: Rules<readonly string[]>,
  sets: ReadonlyMap<string, DigestSet>,
): BootPolicy {
  const resolve = (rule: DigestRule<readonly string[]>): DigestRule<readonly DigestSet[]> => ({
    allow: rule.allow,
    sets: rule.sets.flatMap((id) => sets.get(id) ?? []),
  });
  const resolved = <Word extends string>(rule: DigestRule<readonly string[]> | Word) =>
    typeof rule === 'string' ? rule : resolve(rule);
  return {
    ...rules,
    applications: resolved(rules.applications),
    files: resolved(rules.files),
    optionRoms: resolved(rules.optionRoms),
    firmware: resolved(rules.firmware),
  };
}

/** Registers that a profile judges, and that are therefore quoted. */
export const PROFILE_PCRS: Readonly<Record<BootProfile, readonly number[]>> = {
  'shim-grub': [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14],
  uki: [0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 12, 13],
  'direct-kernel': [0, 1, 2, 3, 4, 5, 6, 7, 9],
  bios: [0, 1, 2, 3, 4, 5, 6, 7],
  'no-log': [0, 1, 2, 3, 4, 5, 6, 7],
};
