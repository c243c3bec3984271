import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat } from '../../../../core/bytes/writer.ts';
import { ParseError } from '../../../../core/errors.ts';
import { parseImaList } from '../../../../core/ima/binary.ts';
import { imaEntry } from '../../../../core/ima/entry.ts';
import { evmXattrs, verifyEvmSignature } from '../../../../core/ima/evm.ts';
import { ImaKeyring, imaKey } from '../../../../core/ima/key.ts';
import { binaryList, digestNg, entryOf, u32le, utf8, xattrSignature } from './vectors.ts';

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = imaKey(publicKey);
const ring = new ImaKeyring([key]);
const digest = new Uint8Array(createHash('sha256').update('file').digest());
const other = new Uint8Array(createHash('sha256').update('other file').digest());
const NAME = utf8('/etc/hostname\0');
const SELINUX = utf8('system_u:object_r:hostname_etc_t:s0\0');

/** What the kernel hashes for a portable signature: values, then inode 0, generation 0, owner, group and mode. */
const covered = (values: readonly Uint8Array[], uid = 1001, mode = 0o100755): Uint8Array =>
  concat(...values, new Uint8Array(12), u32le(uid), u32le(0), Uint8Array.of(mode & 0xff, mode >> 8, 0, 0));

const imaXattr = (value: Uint8Array, type = 4): Uint8Array => concat(Uint8Array.of(type, 4), value);

interface Parts {
  readonly names?: string;
  readonly values?: readonly Uint8Array[];
  readonly lengths?: readonly number[];
  readonly uid?: number;
  readonly over?: Uint8Array;
  readonly type?: number;
  readonly version?: 2 | 3;
}

function evmEntry({
  names = 'security.selinux|security.ima\0',
  values = [SELINUX, imaXattr(digest)],
  lengths = values.map((value) => value.length),
  uid = 1001,
  over = covered(values),
  type = 5,
  version = 2,
}: Parts = {}) {
  const message =
    version === 2 ? over : concat(Uint8Array.of(type, 4), createHash('sha256').update(over).digest());
  const evmsig = xattrSignature(key, sign('sha256', message, privateKey), { type, version });
  return entryOf(
    'evm-sig',
    digestNg('sha256', digest),
    NAME,
    evmsig,
    utf8(names),
    concat(...lengths.map(u32le)),
    concat(...values),
    u32le(uid),
    u32le(0),
    Uint8Array.of(0xed, 0x81),
  );
}

describe('portable EVM signatures', () => {
  test('over attributes, owner and mode, with the digest of the entry among them', () => {
    expect(verifyEvmSignature(evmEntry(), ring)).toEqual({ verdict: 'good', key });
    expect(verifyEvmSignature(evmEntry({ version: 3 }), ring)).toEqual({ verdict: 'good', key });
    expect(verifyEvmSignature(evmEntry(), new ImaKeyring([])).verdict).toBe('unknown-key');
  });

  test('the attribute may be a signature of the file, if that is good itself', () => {
    const fileSignature = xattrSignature(key, sign('sha256', utf8('file'), privateKey));
    const wrong = xattrSignature(key, sign('sha256', utf8('other file'), privateKey));
    expect(verifyEvmSignature(evmEntry({ values: [SELINUX, fileSignature] }), ring).verdict).toBe('good');
    expect(verifyEvmSignature(evmEntry({ values: [SELINUX, wrong] }), ring).verdict).toBe('refused');
  });

  test('another owner than the signed one is bad', () => {
    expect(verifyEvmSignature(evmEntry({ uid: 0 }), ring).verdict).toBe('bad');
    const values = [utf8('system_u:object_r:shadow_t:s0\0'), imaXattr(digest)];
    expect(
      verifyEvmSignature(evmEntry({ values, over: covered([SELINUX, imaXattr(digest)]) }), ring).verdict,
    ).toBe('bad');
  });

  test.each([
    ['the digest of another file', { values: [SELINUX, imaXattr(other)] }, 'does not fit the digest'],
    ['a bare SHA-1 in security.ima', { values: [SELINUX, imaXattr(digest, 1)] }, 'does not fit the digest'],
    ['no security.ima', { names: 'security.selinux|security.evm\0' }, 'does not cover security.ima'],
    ['no attributes at all', { names: '', values: [] }, 'does not cover security.ima'],
    ['a file signature in its place', { type: 3 }, 'over a file'],
    ['a name twice', { names: 'security.ima|security.ima\0' }, 'twice'],
    ['fewer names than lengths', { names: 'security.ima\0' }, '8 bytes for 1 names'],
    ['lengths that are too long', { lengths: [1, 0xffffffff] }, 'needs'],
    ['lengths that are too short', { lengths: [1, 1] }, 'trailing bytes'],
  ])('%s is refused', (_, parts, why) => {
    expect(verifyEvmSignature(evmEntry(parts), ring)).toMatchObject({
      verdict: 'refused',
      why: expect.stringContaining(why),
    });
  });

  test('a template without owner and mode is refused', () => {
    const values = [SELINUX, imaXattr(digest)];
    const fields = new Map(evmEntry({ values }).fields);
    fields.delete('iuid');
    expect(verifyEvmSignature({ ...evmEntry({ values }), fields }, ring).verdict).toBe('refused');
  });

  test('the digest of fs-verity is not the one in security.ima', () => {
    const entry = evmEntry();
    const verity = { algo: 'sha256', type: 'verity', value: digest } as const;
    expect(verifyEvmSignature({ ...entry, digest: verity }, ring).verdict).toBe('refused');
  });

  test('the entries of a real boot have metadata and no signature', () => {
    const list = parseImaList(binaryList('ima-custom-policy-mixed'));
    const entries = Array.from({ length: list.length }, (_, i) => imaEntry(list, i));
    const evm = entries.filter(({ template }) => template.name === 'evm-sig');
    expect(evm.map((entry) => verifyEvmSignature(entry, ring).verdict)).toEqual(['none', 'none']);
    expect(evm.map(evmXattrs)).toEqual([[], []]);
  });

  test('any names, lengths and values: attributes or a ParseError', () => {
    const bytes = fc.uint8Array({ maxLength: 24 });
    fc.assert(
      fc.property(bytes, bytes, bytes, (names, lengths, values) => {
        const fields = new Map(evmEntry().fields)
          .set('xattrnames', names)
          .set('xattrlengths', lengths)
          .set('xattrvalues', values);
        try {
          const total = evmXattrs({ ...evmEntry(), fields }).reduce(
            (sum, { value }) => sum + value.length,
            0,
          );
          expect(total).toBe(values.length);
        } catch (error) {
          expect(error).toBeInstanceOf(ParseError);
        }
      }),
      { numRuns: 60 },
    );
  });
});
