/**
 * A certificate's serial number as people write it (`00:A1:…`, `0xa1…`, `a1…`), in one form: lower-case hex without
 * leading zeros. `undefined` for anything else.
 */
export function canonicalSerial(text: string): string | undefined {
  const digits = text.trim().toLowerCase().replace(/^0x/, '').replaceAll(':', '');
  if (!/^[0-9a-f]{1,64}$/.test(digits)) return undefined;
  return digits.replace(/^0+(?=.)/, '');
}

/**
 * A name as tools print it (`CN = A, O = B`, `O=B,CN=A`), in one form: parts `TYPE=value`, sorted, since tools do not
 * agree on the order. A comma inside a value is written `\,`. `undefined` for a text without parts.
 */
export function canonicalIssuer(text: string): string | undefined {
  const parts = splitName(text).map(canonicalPart);
  if (parts.length === 0 || parts.some((part) => part === undefined)) return undefined;
  return parts.sort().join(',');
}

function splitName(text: string): string[] {
  return (text.match(/(?:\\.|[^\\,+])+/gs) ?? []).map((part) => part.trim()).filter((part) => part !== '');
}

function canonicalPart(part: string): string | undefined {
  const match = /^([A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+)\s*=\s*(.*)$/s.exec(part);
  if (!match) return undefined;
  const [, type = '', value = ''] = match;
  return `${type.toUpperCase()}=${value.trim()}`;
}
