import type { FirmwareBlob, HandoffTables } from '../efi/firmware.ts';
import type { UefiGptData } from '../efi/gpt.ts';
import type { UefiImageLoadEvent } from '../efi/image-load.ts';
import type { UefiVariableData } from '../efi/variable.ts';
import type { TaggedEvent } from './tagged.ts';

/** Which bytes an event's digest is of. For each event type the rules that may hold are in docs/evidence.md. */
export type DigestCover =
  | 'data' // all of the event's data
  | 'data-without-nul' // the data without the NUL at its end
  | 'data-without-last' // the data without its last byte: an authority that shim 15 measured
  | 'variable-data' // VariableData alone: not the vendor and the name
  | 'text' // the text behind a label such as `grub_cmd: `: not the label
  | 'section-name' // the name of a section in ASCII, where the data has it in UTF-16
  | 'tagged-data' // the data of the one tag: not its number
  | 'separator-error' // the number 1, whatever the data says of the error
  | 'external' // something that is not in the log: an image, a file, code, a table
  | 'none'; // nothing: EV_NO_ACTION extends no register

/** Why nothing of an event's data is proven. */
export type UnverifiedReason =
  | 'external' // as it should be: the digest is of something else, and counts by itself
  | 'none' // the event extends nothing
  | 'mismatch' // the digest should be of the data and is not: the data was changed, or the firmware is at fault
  | 'malformed' // the data does not have the form of the event's type
  | 'no-digest'; // the event has no digest for the bank

/**
 * Content that the event's digest covers, so that it is what was measured once the replay fits the quote. Two things are
 * never proven: the event's type, and `unverified`. So a rule says as well which events may stand in a register.
 */
interface Proven<Kind extends string, Content, Unverified = undefined> {
  readonly kind: Kind;
  readonly verified: true;
  readonly covers: DigestCover;
  readonly proven: Content;
  readonly unverified: Unverified;
}

/** Content that is shown and never decides: whoever has the log can write anything there. */
interface Unproven<Kind extends string, Content> {
  readonly kind: Kind;
  readonly verified: false;
  readonly covers: DigestCover;
  readonly why: UnverifiedReason;
  readonly unverified: Content;
}

type Whole<Kind extends string, Content> = Proven<Kind, Content> | Unproven<Kind, Content>;

/** A text in an event. Chosen by the node: show it through `printable`. */
export interface BootText {
  readonly text: string;
  /** What the loader says of the text: `grub_cmd`, `kernel_cmdline`, `module_cmdline`; empty without one. */
  readonly label: string;
  readonly encoding: 'utf-8' | 'utf-16';
}

/** What EV_SEPARATOR says (PC Client Platform Firmware Profile, 3.3.2.2). */
export type SeparatorMeaning =
  | 'zeros' // the operating system is about to be loaded
  | 'ones' // the same, of some firmware
  | 'error' // the firmware could not measure what it should: the register says nothing
  | 'other'; // such as Windows' own

/** EV_NO_ACTION by its signature; they tell, and prove nothing. */
export interface NoActionEvent {
  /** The signature, such as `StartupLocality` or `SP800-155 Event3`; empty for one that is not text. */
  readonly signature: string;
  readonly data: Uint8Array;
}

/** The content of an event, in one bank. */
export type EventContent =
  | Whole<'variable', UefiVariableData>
  /** EV_EFI_VARIABLE_BOOT, the usual way: the value is proven, which variable has it is not. */
  | Proven<
      'variable-value',
      { readonly variableData: Uint8Array },
      Pick<UefiVariableData, 'variableName' | 'unicodeName'>
    >
  /** EV_EFI_VARIABLE_AUTHORITY: what vouched for an image. */
  | Whole<'authority', UefiVariableData>
  | Unproven<'image', UefiImageLoadEvent>
  | Whole<'gpt', UefiGptData>
  | Whole<'firmware-blob', FirmwareBlob>
  | Whole<'handoff-tables', HandoffTables>
  /** A text whose label, if it has one, is not proven: what a command is must follow from where it stands. */
  | Proven<'text', Pick<BootText, 'text'>, Pick<BootText, 'label' | 'encoding'>>
  | Unproven<'text', BootText>
  /** The name of the section of a unified kernel image whose content is measured next. */
  | Proven<'section', { readonly name: string }>
  | Whole<'tags', readonly TaggedEvent[]>
  /** One tag, of which only the data is proven. */
  | Proven<'tag-data', { readonly data: Uint8Array }, { readonly taggedEventId: number }>
  | Whole<'separator', { readonly meaning: SeparatorMeaning; readonly data: Uint8Array }>
  | Proven<'separator-error', { readonly meaning: 'error' }, { readonly data: Uint8Array }>
  | Unproven<'no-action', NoActionEvent>
  /** Data of a type without a known structure, or that does not have the structure of its type. */
  | Whole<'bytes', { readonly data: Uint8Array }>;
