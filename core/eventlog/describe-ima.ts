import { printable, toHex } from '../bytes/encoding.ts';
import { Reader } from '../bytes/reader.ts';
import { ParseError } from '../errors.ts';
import { type ImaField, imaTemplate } from '../ima/template.ts';
import { hexText } from './describe-data.ts';
import { byteText } from './efi/text.ts';

/** Template data of IMA in a canonical log, as its text list would show it: digests and names. Never throws. */
export function describeImaTemplate(templateName: string, data: Uint8Array): string {
  const template = imaTemplate(templateName);
  if (template === undefined || template.legacy) return hexText(data);
  try {
    const reader = new Reader(data, 'template_data');
    const fields = template.fields.map((field) => describeField(field, reader));
    return fields.filter((text) => text !== '').join(' ');
  } catch (error) {
    if (error instanceof ParseError) return hexText(data);
    throw error;
  }
}

/** Signatures and numbers are left out. */
function describeField({ id, kind }: ImaField, reader: Reader): string {
  const bytes = reader.raw(reader.u32le(id), id);
  switch (kind) {
    case 'name':
      return printable(byteText(bytes));
    case 'digest':
      return toHex(bytes);
    case 'digest-ng':
    case 'digest-ngv2':
      return describeDigest(bytes);
    default:
      return '';
  }
}

/** The name of the algorithm with its colon, NUL, and the digest. */
function describeDigest(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return end < 0 ? hexText(bytes) : `${printable(bytes.subarray(0, end))}${toHex(bytes.subarray(end + 1))}`;
}
