import { decodeLossless } from '../bytes/encoding.ts';
import { ParseError } from '../errors.ts';
import type { HashName } from '../tpm/constants.ts';
import type { CelRecord } from './cel.ts';
import { fieldsOf, type JsonFields, readHex, readText } from './cel-fields.ts';
import { eventContent } from './content/content.ts';
import { Coverage } from './content/coverage.ts';
import type { EventContent } from './content/types.ts';
import type { EventDigest, LogEvent } from './event.ts';
import { eventTypeName, eventTypeOf } from './event-type.ts';

/** What a record says of itself, by `content_type`. Unverified. */
export type CelContent =
  | {
      /** systemd's userspace: a text and what it is about, such as `phase`. Show texts through `printable`. */
      readonly type: 'systemd';
      readonly text: string | undefined;
      readonly eventType: string | undefined;
      readonly bootId: string | undefined;
    }
  /** `pcclient_std`: an event of the firmware. */
  | { readonly type: 'pcclient'; readonly event: LogEvent }
  /** `ima_template`: an entry of IMA's list. */
  | { readonly type: 'ima'; readonly templateName: string; readonly templateData: Uint8Array }
  /** Management of the log, and what is unknown: counts by digest only. */
  | { readonly type: 'other' };

/** What of a record is known before its content. */
export interface RecordPlace {
  readonly index: number;
  readonly offset: number;
  readonly pcr: number | undefined;
  readonly digests: readonly EventDigest[];
}

/** @throws {ParseError} when the content does not have the form of its type */
export function readCelContent(contentType: string, value: unknown, place: RecordPlace): CelContent {
  switch (contentType) {
    case 'systemd':
      return readSystemd(fieldsOf(value, 'content', place.offset), place.offset);
    case 'pcclient_std':
      return { type: 'pcclient', event: readPcClient(fieldsOf(value, 'content', place.offset), place) };
    case 'ima_template':
      return readIma(fieldsOf(value, 'content', place.offset), place.offset);
    default:
      return { type: 'other' };
  }
}

function readSystemd(content: JsonFields, offset: number): CelContent {
  return {
    type: 'systemd',
    text: readText(content, 'string', offset),
    eventType: readText(content, 'eventType', offset),
    bootId: readText(content, 'bootId', offset),
  };
}

const NO_REGISTER = 0xffffffff;

function readPcClient(content: JsonFields, { index, offset, pcr, digests }: RecordPlace): LogEvent {
  const { event_type: named } = content;
  const type = typeof named === 'string' ? eventTypeOf(named) : named;
  if (typeof type !== 'number' || !Number.isInteger(type) || type < 0 || type > 0xffffffff) {
    throw new ParseError('content.event_type', offset, 'is not an event type', 'bytes.known');
  }
  const place = { source: 'firmware', index, offset, dataOffset: offset, pcr: pcr ?? NO_REGISTER } as const;
  return {
    ...place,
    type,
    typeName: eventTypeName(type),
    digests,
    data: readData(content, 'event_data', offset),
  };
}

function readIma(content: JsonFields, offset: number): CelContent {
  const templateName = readText(content, 'template_name', offset);
  if (templateName === undefined) throw new ParseError('content.template_name', offset, 'is missing');
  return { type: 'ima', templateName, templateData: readData(content, 'template_data', offset) };
}

function readData(content: JsonFields, name: string, offset: number): Uint8Array {
  const text = readText(content, name, offset);
  if (text === undefined) throw new ParseError(`content.${name}`, offset, 'is missing');
  return readHex(text, `content.${name}`, offset);
}

// Their digest is keyed with what they are about, which nobody else has.
const KEYED = new Set(['volume-key', 'credential']);

/** What a record says, and what of it its digest in `bank` covers: as eventContent. Never throws. */
export function recordContent(record: CelRecord, bank: HashName): EventContent {
  const { content, digests, offset } = record;
  if (content.type === 'pcclient') return eventContent(content.event, bank);
  if (content.type === 'systemd') return systemdContent(record, content, bank);
  const data = content.type === 'ima' ? content.templateData : new Uint8Array();
  const coverage = new Coverage({ digests, data, dataOffset: offset }, bank);
  return content.type === 'ima' && coverage.of(data)
    ? { kind: 'bytes', verified: true, covers: 'data', proven: { data }, unverified: undefined }
    : {
        kind: 'bytes',
        ...coverage.unverified(content.type === 'ima' ? 'data' : 'external'),
        unverified: { data },
      };
}

/** The digest is of the text, in UTF-8 without a NUL; what the text is about is not in it. */
function systemdContent(
  { digests, offset }: CelRecord,
  content: Extract<CelContent, { type: 'systemd' }>,
  bank: HashName,
): EventContent {
  const { eventType = '' } = content;
  const data = new Uint8Array(Buffer.from(content.text ?? '', 'utf8'));
  // From the bytes, not from the JSON: a lone surrogate there has none of its own.
  const text = decodeLossless(data);
  const coverage = new Coverage({ digests, data, dataOffset: offset }, bank);
  const claim = { label: eventType, encoding: 'utf-8' } as const;
  if (coverage.of(data)) {
    return { kind: 'text', verified: true, covers: 'text', proven: { text }, unverified: claim };
  }
  const expected = KEYED.has(eventType) ? 'external' : 'text';
  return { kind: 'text', ...coverage.unverified(expected), unverified: { text, ...claim } };
}
