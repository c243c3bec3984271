const TEXT = /^[\s!-~]+$/;
const HEX = /^([0-9a-f]{2})+$/i;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** What a file of binary data holds: the bytes themselves, or their hex or base64 with any white space. */
export function decodeBinary(bytes: Uint8Array): Uint8Array {
  const latin = Buffer.from(bytes).toString('latin1');
  if (!TEXT.test(latin)) return bytes;
  const text = latin.replace(/\s+/g, '');
  if (HEX.test(text)) return new Uint8Array(Buffer.from(text, 'hex'));
  return BASE64.test(text) && text.length % 4 === 0 ? new Uint8Array(Buffer.from(text, 'base64')) : bytes;
}
