import { hash } from 'node:crypto';
import Type, { type Static } from 'typebox';
import type { BootSection } from '../language/boot-schema.ts';
import { parseDocument } from './document.ts';
import { hexOf, literalOf } from './keylime-text.ts';

const Signature = Type.Object({ SignatureData: Type.String() });
const Signatures = Type.Optional(Type.Array(Signature));
const Sha256 = Type.Object({ sha256: Type.String() });

/** Reference state of Keylime's measured boot policy `example`, as `keylime-policy create measured-boot` writes it. */
const ReferenceState = Type.Object({
  has_secureboot: Type.Optional(Type.Boolean()),
  scrtm_and_bios: Type.Array(
    Type.Object({ scrtm: Sha256, platform_firmware: Type.Optional(Type.Array(Sha256)) }),
  ),
  ...{ pk: Signatures, kek: Signatures, db: Signatures, dbx: Signatures, vendor_db: Signatures },
  ...{ mokdig: Type.Optional(Type.Array(Sha256)), mokxdig: Type.Optional(Type.Array(Sha256)) },
  kernels: Type.Array(
    Type.Object({
      shim_authcode_sha256: Type.Optional(Type.String()),
      grub_authcode_sha256: Type.Optional(Type.String()),
      kernel_authcode_sha256: Type.Optional(Type.String()),
      vmlinuz_plain_sha256: Type.Optional(Type.String()),
      initrd_plain_sha256: Type.Optional(Type.String()),
      kernel_cmdline: Type.Optional(Type.String()),
    }),
  ),
});
type ReferenceState = Static<typeof ReferenceState>;

/** A part of a policy that takes the place of a Keylime document, and what in it is left for a person. */
export interface Converted<Section> {
  readonly section: Section;
  readonly notes: readonly string[];
}

/**
 * The section `boot` that allows what a Keylime reference state does, as far as it is proven by digests.
 *
 * @throws {AssayError} `invalid-request` for another format
 */
export function bootOfReferenceState(text: string): Converted<BootSection> {
  const state = parseDocument(text, ReferenceState, 'a measured boot reference state of Keylime');
  const { kernels, scrtm_and_bios: firmware } = state;
  const isSecure = state.has_secureboot ?? true;
  const images = (['shim', 'grub', 'kernel'] as const).flatMap((name) =>
    kernels.map((kernel) => kernel[`${name}_authcode_sha256`]),
  );
  const files = kernels.flatMap((one) => [one.initrd_plain_sha256, one.vmlinuz_plain_sha256]);
  const lines = commandLines(kernels);
  const section: BootSection = {
    profile: 'shim-grub',
    'secure-boot': isSecure ? 'required' : 'any',
    ...(isSecure ? keysOf(state) : {}),
    firmware: allow(
      firmware.flatMap(({ scrtm, platform_firmware: blobs = [] }) =>
        [scrtm, ...blobs].map((one) => one.sha256),
      ),
    ),
    applications: allow(images),
    'option-roms': 'any',
    files: allow(files),
    'command-line': lines.texts.length > 0 ? { 'any-of': lines.texts } : 'any',
  };
  return { section, notes: [...lines.notes, ...notesOn(state)] };
}

function allow(hashes: readonly (string | undefined)[]): { allow: string[] } {
  return { allow: [...new Set(hashes.flatMap((hash) => (hash === undefined ? [] : hexOf(hash))))] };
}

/** Keylime takes a subset of what it knows of PK, KEK and db, and more than what it knows of dbx. */
function keysOf({ pk, kek, db, dbx = [] }: ReferenceState): Partial<BootSection> {
  const lists = Object.entries({ pk, kek, db }).flatMap(([name, found = []]) => {
    const only = found.map(matchOf);
    return only.length > 0 ? [[name, { only }] as const] : [];
  });
  const forbidden = dbx
    .flatMap(({ SignatureData: data }) => hexOf(data))
    .filter(({ length }) => length === 64);
  return {
    ...(lists.length > 0 ? { keys: Object.fromEntries(lists) } : {}),
    ...(forbidden.length > 0 ? { dbx: { include: [...new Set(forbidden)] } } : {}),
  };
}

const SHA256_DIGITS = 64;

// Owners stand in either byte order there; a certificate says by itself whose it is.
function matchOf({ SignatureData: data }: Static<typeof Signature>) {
  const [hex = ''] = hexOf(data);
  if (hex.length === SHA256_DIGITS) return { image: hex };
  return { certificate: hash('sha256', Buffer.from(hex, 'hex'), 'hex') };
}

function commandLines(kernels: ReferenceState['kernels']): {
  readonly texts: string[];
  readonly notes: readonly string[];
} {
  const patterns = [...new Set(kernels.flatMap(({ kernel_cmdline: pattern }) => pattern ?? []))];
  // GRUB measures the path of the kernel before it.
  const texts = patterns.map((pattern) => literalOf(pattern)?.replace(/^[(/]\S*\s*/, ''));
  const unread = patterns.filter((_, index) => texts[index] === undefined);
  // One that is left out would be a line that is refused: all are, or a person says which.
  if (unread.length === 0) return { texts: texts.filter((text) => text !== undefined), notes: [] };
  return {
    texts: [],
    notes: unread.map(
      (pattern) =>
        `command-line: the pattern ${JSON.stringify(pattern)} is for a person: name whole lines in any-of, or words in require and forbid`,
    ),
  };
}

function notesOn({ vendor_db: vendor = [], mokdig = [], mokxdig = [] }: ReferenceState): string[] {
  return [
    'files: GRUB measures its own files (grub.cfg, modules) into PCR 9 too, which Keylime lets pass by their names; add their digests, or set any',
    'option-roms: Keylime lets any code of devices pass',
    ...(vendor.length > 0
      ? ['authorities: vendor_db is not taken over; name in authorities what may vouch for images']
      : []),
    ...(mokdig.length + mokxdig.length > 0
      ? ['PCR 14: digests of MokList and MokListX are not taken over']
      : []),
  ];
}
