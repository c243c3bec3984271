import { printable } from '../bytes/encoding.ts';
import { ParseError } from '../errors.ts';
import type { EventContent } from './content/types.ts';
import { describeBytes, describeNoAction, describeTag, describeTags, hexText } from './describe-data.ts';
import { renderDevicePath } from './efi/device-path.ts';
import type { EfiLoadOption } from './efi/load-option.ts';
import { type EfiSignature, signatureCertificate } from './efi/signature-list.ts';
import type { UefiVariableData } from './efi/variable.ts';
import { authorityValue, type VariableValue, variableValue } from './efi/variable-value.ts';

const MAX_LISTED = 8;

/**
 * What an event says, in a line for people: escaped, and never an error. Proven or not: show `verified` next to it, and
 * decide nothing by this text.
 */
export function describeContent(content: EventContent): string {
  try {
    return describe(content);
  } catch (error) {
    if (error instanceof ParseError) return `malformed: ${error.message}`;
    throw error;
  }
}

function describe(content: EventContent): string {
  switch (content.kind) {
    case 'variable-value':
      return describeVariable({ ...content.unverified, ...content.proven }, variableValue);
    case 'section':
      return `section ${printable(content.proven.name)}`;
    case 'text':
      return describeText(content);
    case 'tag-data':
      return describeTag(content.unverified.taggedEventId, content.proven.data);
    case 'separator-error':
      return 'error';
    case 'image': {
      const { imageLengthInMemory, devicePath } = content.unverified;
      return `${printable(renderDevicePath(devicePath)) || 'no device path'}, ${imageLengthInMemory} bytes`;
    }
    case 'no-action':
      return describeNoAction(content.unverified);
    default:
      return describeWhole(content);
  }
}

type WholeKind =
  | 'variable'
  | 'authority'
  | 'gpt'
  | 'firmware-blob'
  | 'handoff-tables'
  | 'tags'
  | 'separator'
  | 'bytes';

function describeWhole(content: Extract<EventContent, { readonly kind: WholeKind }>): string {
  switch (content.kind) {
    case 'variable':
      return describeVariable(shown(content), variableValue);
    case 'authority':
      return describeVariable(shown(content), authorityValue);
    case 'gpt': {
      const { diskGuid, partitions } = shown(content);
      return `disk ${diskGuid}: ${listed(partitions, ({ partitionName }) => printable(partitionName))}`;
    }
    case 'firmware-blob': {
      const { blobBase, blobLength, blobDescription = '' } = shown(content);
      return `${printable(blobDescription)} ${blobLength} bytes at 0x${blobBase.toString(16)}`.trimStart();
    }
    case 'handoff-tables': {
      const { tableDescription = '', tables } = shown(content);
      return `${printable(tableDescription)} ${listed(tables, ({ vendorGuid }) => vendorGuid)}`.trimStart();
    }
    case 'tags':
      return describeTags(shown(content));
    case 'separator':
      return shown(content).meaning === 'other' ? describeBytes(shown(content).data) : shown(content).meaning;
    case 'bytes':
      return describeBytes(shown(content).data);
  }
}

/** What is shown to a person, proven or not. */
function shown<T>(
  content:
    | { readonly verified: true; readonly proven: T }
    | { readonly verified: false; readonly unverified: T },
): T {
  return content.verified ? content.proven : content.unverified;
}

function describeText(content: Extract<EventContent, { readonly kind: 'text' }>): string {
  const { text } = content.verified ? content.proven : content.unverified;
  const { label } = content.unverified;
  return label === '' ? printable(text) : `${printable(label)}: ${printable(text)}`;
}

function describeVariable(
  variable: UefiVariableData,
  read: (variable: UefiVariableData) => VariableValue,
): string {
  return `${printable(variable.unicodeName)} = ${describeValue(read(variable))}`;
}

function describeValue(value: VariableValue): string {
  switch (value.type) {
    case 'boolean':
      return String(value.value);
    case 'not-set':
      return 'not set';
    case 'boot-order':
      return value.options.map((option) => option.toString(16).toUpperCase().padStart(4, '0')).join(', ');
    case 'load-option':
      return describeOption(value.option);
    case 'sbat':
      return value.entries.map(({ component, generation }) => `${component} ${generation}`).join(', ');
    case 'signature-data':
      return describeSignature({ type: 'x509', ...value.signature });
    case 'signature-lists':
      return value.signatures.length === 0 ? 'empty' : listed(value.signatures, describeSignature);
    case 'bytes':
      return describeBytes(value.bytes);
  }
}

function describeOption({ active, description, filePathList }: EfiLoadOption): string {
  const off = active ? '' : ' (not active)';
  return `${printable(description)}${off}: ${printable(renderDevicePath(filePathList))}`;
}

function describeSignature(signature: Pick<EfiSignature, 'type' | 'signatureData'>): string {
  if (signature.type !== 'x509') return `${signature.type} ${hexText(signature.signatureData)}`;
  try {
    return printable(signatureCertificate(signature).subject.text);
  } catch (error) {
    if (error instanceof ParseError) return hexText(signature.signatureData);
    throw error;
  }
}

function listed<T>(items: readonly T[], one: (item: T) => string): string {
  const texts = items.slice(0, MAX_LISTED).map(one).join('; ');
  return items.length > MAX_LISTED ? `${texts}; and ${items.length - MAX_LISTED} more` : texts;
}
