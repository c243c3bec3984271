import { describe, expect, test } from 'vitest';
import { concat, Writer } from '../../../../../core/bytes/writer.ts';
import { ParseError } from '../../../../../core/errors.ts';
import { eventContent } from '../../../../../core/eventlog/content/content.ts';
import { VENDOR } from '../../../../../core/eventlog/efi/guid.ts';
import { parseLoadOption } from '../../../../../core/eventlog/efi/load-option.ts';
import { parseSbat } from '../../../../../core/eventlog/efi/sbat.ts';
import {
  parseSignatureData,
  parseSignatureLists,
  signatureCertificate,
} from '../../../../../core/eventlog/efi/signature-list.ts';
import { parseVariableData } from '../../../../../core/eventlog/efi/variable.ts';
import { authorityValue, variableValue } from '../../../../../core/eventlog/efi/variable-value.ts';
import { parseEventLog } from '../../../../../core/eventlog/parse.ts';
import { ascii, logBytes, parseErrorOf, unhex, utf16 } from '../vectors.ts';

const OWNER = '77fa9abd-0359-4d32-bd60-28f4e78f784b';
const OWNER_BYTES = unhex('bd9afa775903324dbd6028f4e78f784b');
const X509 = unhex('a159c0a5e494a74a87b5ab155c2bf072');
const SHA256 = unhex('2616c4c14c509240aca941f936934328');

/** The proven variable of an event of a real boot. */
function variableOf(name: string, at: number) {
  const event = parseEventLog(logBytes(name)).events[at];
  const content = event && eventContent(event, 'sha256');
  if (content?.kind !== 'variable' && content?.kind !== 'authority') throw new Error('not a variable');
  if (!content.verified) throw new Error('not verified');
  return content.proven;
}

const variable = (variableName: string, unicodeName: string, variableData: Uint8Array) => ({
  variableName,
  unicodeName,
  variableData,
});

const list = (type: Uint8Array, size: number, body: Uint8Array, header: Uint8Array = new Uint8Array()) =>
  new Writer()
    .raw(type)
    .u32le(28 + header.length + body.length)
    .u32le(header.length)
    .u32le(size)
    .raw(header)
    .raw(body)
    .bytes();

describe('what the variables of real boots mean', () => {
  test('Secure Boot', () => {
    expect(variableValue(variableOf('sb-clean-1', 4))).toEqual({ type: 'boolean', value: true });
    expect(variableValue(variableOf('direct-clean-1', 4))).toEqual({ type: 'boolean', value: false });
  });

  test('KEK and db: owners and certificates', () => {
    const subjects = (at: number) => {
      const value = variableValue(variableOf('sb-clean-1', at));
      if (value.type !== 'signature-lists') throw new Error(value.type);
      return value.signatures.map((signature) => [
        signature.signatureOwner,
        signatureCertificate(signature).subject.text,
      ]);
    };
    expect(subjects(6)).toEqual([
      ['a0baa8a3-041d-48a8-bc87-c36d121b5e3d', expect.stringContaining('Debian')],
      [OWNER, expect.stringContaining('Microsoft Corporation KEK CA 2011')],
    ]);
    expect(subjects(7)).toEqual([
      [OWNER, expect.stringContaining('Microsoft Windows Production PCA 2011')],
      [OWNER, expect.stringContaining('Microsoft Corporation UEFI CA 2011')],
    ]);
  });

  test('dbx: digests', () => {
    const value = variableValue(variableOf('sb-clean-1', 8));
    expect(value).toMatchObject({ type: 'signature-lists', signatures: [{ type: 'sha256' }] });
  });

  test('variables that are not set are empty lists', () => {
    for (const at of [5, 6, 7, 8]) {
      const value = variableValue(variableOf('direct-clean-1', at));
      expect(value).toEqual({ type: 'signature-lists', signatures: [] });
    }
  });

  test('what vouched for shim and for GRUB', () => {
    const shim = authorityValue(variableOf('sb-clean-1', 22));
    const grub = authorityValue(variableOf('sb-clean-1', 29));
    if (shim.type !== 'signature-data' || grub.type !== 'signature-data') throw new Error('not signatures');
    expect(shim.signature.signatureOwner).toBe(OWNER);
    expect(grub.signature.signatureOwner).toBe(VENDOR.SHIM);
    const db = variableValue(variableOf('sb-clean-1', 7));
    if (db.type !== 'signature-lists') throw new Error(db.type);
    expect(db.signatures.map(({ signatureData }) => signatureData)).toContainEqual(
      shim.signature.signatureData,
    );
  });

  test('the SBAT level', () => {
    expect(authorityValue(variableOf('sb-clean-1', 27))).toEqual({
      type: 'sbat',
      entries: [
        { component: 'sbat', generation: 1, rest: ['2025021800'] },
        { component: 'shim', generation: 4, rest: [] },
        { component: 'grub', generation: 5, rest: [] },
      ],
    });
  });
});

describe('the meaning follows vendor and name', () => {
  const flag = Uint8Array.of(1);

  test.each([
    ['SecureBoot of another vendor', variable(VENDOR.SHIM, 'SecureBoot', flag)],
    ['db of the global vendor', variable(VENDOR.GLOBAL, 'db', flag)],
    ['PK of the database vendor', variable(VENDOR.SECURITY_DATABASE, 'PK', flag)],
    ['another name', variable(VENDOR.GLOBAL, 'secureboot', flag)],
  ])('%s is bytes', (_, found) => {
    expect(variableValue(found)).toEqual({ type: 'bytes', bytes: flag });
    expect(authorityValue(found)).toEqual({ type: 'bytes', bytes: flag });
  });

  test.each([Uint8Array.of(2), Uint8Array.of(1, 0)])('a flag is one byte, 0 or 1', (value) => {
    expect(() => variableValue(variable(VENDOR.GLOBAL, 'SecureBoot', value))).toThrow(/0 or 1/);
  });

  test('firmware without Secure Boot measures SecureBoot without a value', () => {
    const value = variableValue(variable(VENDOR.GLOBAL, 'SecureBoot', new Uint8Array()));
    expect(value).toEqual({ type: 'not-set' });
  });

  test('BootOrder and Boot####', () => {
    const order = variable(VENDOR.GLOBAL, 'BootOrder', Uint8Array.of(1, 0, 0, 0x10));
    expect(variableValue(order)).toEqual({ type: 'boot-order', options: [1, 0x1000] });
    expect(() => variableValue(variable(VENDOR.GLOBAL, 'BootOrder', flag))).toThrow(/16-bit/);
    const option = new Writer().u32le(1).u16le(0).raw(utf16('debian\0')).raw(ascii('opt')).bytes();
    expect(variableValue(variable(VENDOR.GLOBAL, 'Boot00AF', option))).toMatchObject({
      type: 'load-option',
      option: { active: true, description: 'debian', optionalData: ascii('opt') },
    });
    expect(variableValue(variable(VENDOR.GLOBAL, 'Boot00af', option)).type).toBe('bytes');
  });

  test('shim’s lists and flags', () => {
    const mok = variable(VENDOR.SHIM, 'MokListRT', concat(OWNER_BYTES, Uint8Array.of(1)));
    expect(authorityValue(mok)).toMatchObject({
      type: 'signature-data',
      signature: { signatureOwner: OWNER },
    });
    expect(authorityValue({ ...mok, unicodeName: 'Shim' }).type).toBe('signature-data');
    expect(authorityValue(variable(VENDOR.SHIM, 'MokListTrusted', flag))).toEqual({
      type: 'boolean',
      value: true,
    });
  });

  test('shim measures its own certificate, and older ones any certificate or digest, without an owner', () => {
    const db = variableOf('sb-clean-1', 22);
    const certificate = db.variableData.subarray(16);
    const digest = new Uint8Array(32).fill(7);
    for (const [vendor, name, value] of [
      [VENDOR.SHIM, 'Shim', certificate],
      [VENDOR.SHIM, 'MokList', certificate],
      [VENDOR.SECURITY_DATABASE, 'db', certificate],
      [VENDOR.SECURITY_DATABASE, 'db', digest],
    ] as const) {
      expect(authorityValue(variable(vendor, name, value))).toEqual({
        type: 'signature-data',
        signature: { signatureOwner: undefined, signatureData: value },
      });
    }
    // One byte more or less, and it begins with an owner.
    for (const value of [concat(certificate, Uint8Array.of(0)), certificate.subarray(0, -1)]) {
      const read = authorityValue(variable(VENDOR.SHIM, 'Shim', value));
      expect(read).toMatchObject({ signature: { signatureData: value.subarray(16) } });
    }
  });
});

describe('UEFI_VARIABLE_DATA', () => {
  const bytes = new Writer()
    .raw(OWNER_BYTES)
    .raw(Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0))
    .raw(Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0))
    .raw(utf16('db'))
    .raw(ascii('abc'))
    .bytes();

  test('bytes.bounds: every prefix and a longer one are refused', () => {
    expect(parseVariableData(bytes)).toEqual(variable(OWNER, 'db', ascii('abc')));
    for (let length = 0; length < bytes.length; length++) {
      expect(() => parseVariableData(bytes.subarray(0, length))).toThrow();
    }
    expect(() => parseVariableData(concat(bytes, flagByte))).toThrow(/trailing/);
  });

  test('bytes.bounds: a length of 2 to the 64 is refused at its byte', () => {
    const huge = Uint8Array.from(bytes).fill(0xff, 16, 24);
    const error = parseErrorOf(() => parseVariableData(huge, 100));
    expect(error).toMatchObject({ field: 'UEFI_VARIABLE_DATA.unicodeNameLength', offset: 124 });
  });
});

const flagByte = Uint8Array.of(1);

describe('EFI_SIGNATURE_LIST', () => {
  const one = concat(OWNER_BYTES, new Uint8Array(32).fill(5));

  test('lists follow each other, each with its type', () => {
    const found = parseSignatureLists(
      concat(
        list(SHA256, 48, concat(one, one)),
        list(X509, 19, concat(OWNER_BYTES, ascii('abc')), ascii('hdr')),
      ),
      1000,
    );
    expect(found.map(({ type, offset }) => [type, offset])).toEqual([
      ['sha256', 1044],
      ['sha256', 1092],
      ['x509', 1171],
    ]);
    expect(found[2]?.signatureData).toEqual(ascii('abc'));
  });

  test('a type that is unknown is kept', () => {
    const found = parseSignatureLists(list(OWNER_BYTES, 17, concat(OWNER_BYTES, flagByte)));
    expect(found).toMatchObject([{ type: 'unknown', typeGuid: OWNER }]);
  });

  test.each([
    ['an owner and no data', list(X509, 16, OWNER_BYTES), 'signatureSize'],
    ['a size of zero', list(X509, 0, one), 'signatureSize'],
    ['a size that is not the digest’s', list(SHA256, 24, one), 'signatureSize'],
    ['half a signature', list(SHA256, 48, concat(one, one.subarray(0, 20))), 'signatureListSize'],
    ['less than its headers', list(SHA256, 48, one).fill(0, 17, 20).fill(20, 16, 17), 'signatureListSize'],
    ['more than there is', list(SHA256, 48, concat(one, one)).subarray(0, 100), 'signatures'],
    [
      'a header longer than the list',
      list(SHA256, 48, one).fill(48, 20, 21).fill(28, 16, 17),
      'signatureListSize',
    ],
    ['a huge header', list(SHA256, 48, one).fill(0xff, 20, 24), 'signatureListSize'],
  ])('bytes.bounds: %s is refused', (_, bytes, field) => {
    expect(parseErrorOf(() => parseSignatureLists(bytes)).field).toBe(`EFI_SIGNATURE_LIST.${field}`);
  });

  test('only a certificate is a certificate', () => {
    const certificates = (bytes: Uint8Array) => parseSignatureLists(bytes).map(signatureCertificate);
    expect(() => certificates(list(SHA256, 48, one))).toThrow(RangeError);
    expect(() => certificates(list(X509, 19, concat(OWNER_BYTES, ascii('abc'))))).toThrow(ParseError);
  });

  test('a single signature has an owner and data', () => {
    expect(parseSignatureData(concat(OWNER_BYTES, flagByte))).toEqual({
      signatureOwner: OWNER,
      signatureData: flagByte,
    });
    expect(() => parseSignatureData(OWNER_BYTES)).toThrow(/empty/);
  });
});

describe('SBAT', () => {
  test('lines may end with a carriage return, and the text with zeros', () => {
    expect(parseSbat(ascii('shim,3,UEFI shim,x\r\ngrub.debian,4\n\0\0'))).toEqual([
      { component: 'shim', generation: 3, rest: ['UEFI shim', 'x'] },
      { component: 'grub.debian', generation: 4, rest: [] },
    ]);
    expect(parseSbat(new Uint8Array())).toEqual([]);
  });

  test.each([
    'shim',
    'shim,',
    'shim,x',
    'shim,-1',
    'shim,1.5',
    'shim,9999999999',
    ',1',
    ' shim,1',
    'sh\x01im,1',
    'ä,1',
    'shim,1,ä',
    'shim,1,\x1b',
  ])('%j is refused', (line) => {
    expect(parseErrorOf(() => parseSbat(ascii(`grub,1\n${line}\n`), 40)).offset).toBe(40);
  });

  test('bytes.duplicates: a component that comes twice is refused', () => {
    expect(parseErrorOf(() => parseSbat(ascii('shim,4\nshim,1\n'))).rule).toBe('bytes.duplicates');
  });

  test('bytes.bounds: limits of bytes and lines', () => {
    const lines = (count: number) => Array.from({ length: count }, (_, i) => `c${i},1`).join('\n');
    expect(parseSbat(ascii(lines(500)))).toHaveLength(500);
    expect(() => parseSbat(ascii(lines(501)))).toThrow(/501 lines/);
    expect(() => parseSbat(new Uint8Array(64 * 1024 + 1))).toThrow(/limit/);
  });
});

describe('EFI_LOAD_OPTION', () => {
  test('bytes.bounds: without the end of the description, or with too long a path, it is refused', () => {
    expect(() => parseLoadOption(new Writer().u32le(1).u16le(0).raw(utf16('abc')).bytes())).toThrow(/no end/);
    const path = new Writer().u32le(1).u16le(9).raw(utf16('a\0')).raw(new Uint8Array(8)).bytes();
    expect(parseErrorOf(() => parseLoadOption(path)).field).toBe('EFI_LOAD_OPTION.filePathList');
    const long = new Writer()
      .u32le(1)
      .u16le(0)
      .raw(utf16(`${'a'.repeat(600)}\0`))
      .bytes();
    expect(() => parseLoadOption(long)).toThrow(/no end/);
  });
});
