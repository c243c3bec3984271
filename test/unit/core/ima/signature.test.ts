import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { printable } from '../../../../core/bytes/encoding.ts';
import { concat } from '../../../../core/bytes/writer.ts';
import { parseImaList } from '../../../../core/ima/binary.ts';
import { imaEntry } from '../../../../core/ima/entry.ts';
import { ImaKeyring, imaKey, imaKeyOfCertificate } from '../../../../core/ima/key.ts';
import { parseImaSignature } from '../../../../core/ima/signature.ts';
import { imaSignatureMemo, verifyImaSignature } from '../../../../core/ima/verify.ts';
import { verifyDigest } from '../../../../core/ima/verify-digest.ts';
import { parseCertificate } from '../../../../core/x509/certificate.ts';
import { binaryList, bytesOf, digestNg, entryOf, parseErrorOf, utf8, xattrSignature } from './vectors.ts';

const FILE = utf8('contents of a file');
const NAME = utf8('/usr/bin/env\0');
const digest = (algo: string, bytes = FILE) => new Uint8Array(createHash(algo).update(bytes).digest());

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const keys = { rsa: imaKey(rsa.publicKey), p256: imaKey(p256.publicKey) };
const ring = new ImaKeyring(Object.values(keys));

/** An entry with a signature over the file; version 3 signs what the kernel calls ima_file_id. */
function signedEntry(
  { privateKey, key = keys.rsa }: { privateKey: KeyObject; key?: typeof keys.rsa },
  { algo = 'sha256', type = 3, version = 2, hash = 4, what = '' } = {},
) {
  const over = version === 2 ? FILE : concat(Uint8Array.of(type, hash), digest(algo));
  const xattr = xattrSignature(key, sign(algo, over, privateKey), { type, version, hash });
  return entryOf('ima-sigv2', digestNg(what || `ima:${algo}`, digest(algo)), NAME, xattr);
}

const verdictOf = (...args: Parameters<typeof verifyImaSignature>) => verifyImaSignature(...args).verdict;

describe('signatures of a real boot', () => {
  const certificates = ['ima', 'ec'].map((name) => parseCertificate(bytesOf(`keys/${name}.der`)));
  const [first, second] = certificates.map(imaKeyOfCertificate);
  const list = parseImaList(binaryList('ima-sig'));
  const entries = Array.from({ length: list.length }, (_, i) => imaEntry(list, i));
  const signed = entries.filter(({ fields }) => fields.get('sig')?.length !== 0);

  test('RSA and ECDSA, by the keys of their certificates', () => {
    const both = new ImaKeyring([first, second].filter((key) => key !== undefined));
    const found = signed.map((entry) => {
      const verdict = verifyImaSignature(entry, both);
      return `${printable(entry.name)} ${'key' in verdict ? verdict.key.publicKey.asymmetricKeyType : verdict.verdict}`;
    });
    expect(found).toEqual([
      '/usr/bin/cat rsa',
      '/usr/bin/cut ec',
      '/usr/bin/tpm2 rsa',
      '/usr/bin/date rsa',
      '/usr/bin/ls rsa',
      '/usr/bin/sort rsa',
      '/usr/bin/wc ec',
    ]);
    expect(entries.filter((entry) => verdictOf(entry, both) === 'none')).toHaveLength(81 - 7);
  });

  test('ima.keys: a key that is not in the ring', () => {
    const verdicts = signed.map((entry) => verifyImaSignature(entry, new ImaKeyring(first ? [first] : [])));
    expect(verdicts[1]).toEqual({ verdict: 'unknown-key', keyId: 'd2fb57cb' });
    expect(verdicts[0]?.verdict).toBe('good');
  });

  test('ima.keys: a signature of one file is not one of another', () => {
    const [cat, , tpm2] = signed;
    const mixed = { ...(cat ?? entryOf('ima-ng')), digest: tpm2?.digest };
    expect(verdictOf(mixed, new ImaKeyring(first ? [first] : []))).toBe('bad');
  });
});

describe('versions and kinds', () => {
  test.each([
    ['RSA, SHA-256', rsa.privateKey, keys.rsa, { algo: 'sha256', hash: 4 }],
    ['RSA, SHA-512', rsa.privateKey, keys.rsa, { algo: 'sha512', hash: 6 }],
    ['RSA, SHA3-384', rsa.privateKey, keys.rsa, { algo: 'sha3-384', hash: 21 }],
    ['ECDSA, SHA-256', p256.privateKey, keys.p256, { algo: 'sha256', hash: 4 }],
    ['version 3 over a file', rsa.privateKey, keys.rsa, { version: 3 }],
    ['fs-verity', p256.privateKey, keys.p256, { version: 3, type: 6, what: 'verity:sha256' }],
    [
      'fs-verity, SHA-512',
      rsa.privateKey,
      keys.rsa,
      { version: 3, type: 6, algo: 'sha512', hash: 6, what: 'verity:sha512' },
    ],
  ])('%s', (_, privateKey, key, options) => {
    const entry = signedEntry({ privateKey, key }, options);
    expect(verifyImaSignature(entry, ring)).toEqual({ verdict: 'good', key });
    expect(verdictOf(entry, new ImaKeyring([]))).toBe('unknown-key');
  });

  test('another key with the same id is no match, and the right one behind it is', () => {
    const other = {
      ...imaKey(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey),
      keyId: keys.rsa.keyId,
    };
    const entry = signedEntry({ privateKey: rsa.privateKey });
    expect(verdictOf(entry, new ImaKeyring([other]))).toBe('bad');
    expect(verdictOf(entry, new ImaKeyring([other, keys.rsa]))).toBe('good');
  });

  test.each([
    ['of version 2 where version 3 is claimed', { version: 3, what: 'ima:sha256' }],
    ['of a file where fs-verity is claimed', { version: 3, type: 6, what: 'verity:sha256' }],
  ])('a signature %s is bad', (_, options) => {
    const xattr = xattrSignature(keys.rsa, sign('sha256', FILE, rsa.privateKey), options);
    const entry = entryOf('ima-sigv2', digestNg(options.what, digest('sha256')), NAME, xattr);
    expect(verdictOf(entry, ring)).toBe('bad');
  });

  const good = sign('sha256', FILE, rsa.privateKey);
  test.each([
    [
      'an fs-verity signature on a file digest',
      xattrSignature(keys.rsa, good, { type: 6, version: 3 }),
      'the other kind',
    ],
    [
      'a signature over another hash than the digest',
      xattrSignature(keys.rsa, good, { hash: 6 }),
      'the entry has a sha256',
    ],
    ['SHA-1', xattrSignature(keys.rsa, good, { hash: 2 }), 'SHA-256 or better'],
    ['a metadata signature', xattrSignature(keys.rsa, good, { type: 5 }), 'not over a file'],
    ['a length in the wrong byte order', xattrSignature(keys.rsa, good, { length: 1 }), 'trailing bytes'],
    ['no signature at all', Uint8Array.of(1, 2, 3), 'not that of a signature'],
  ])('%s is refused', (_, xattr, why) => {
    const entry = entryOf('ima-sigv2', digestNg('ima:sha256', digest('sha256')), NAME, xattr);
    const verdict = verifyImaSignature(entry, ring);
    expect(verdict).toMatchObject({ verdict: 'refused', why: expect.stringContaining(why) });
  });

  test('an entry without a digest', () => {
    const xattr = xattrSignature(keys.rsa, good);
    expect(verifyImaSignature(entryOf('n-ng|sig', NAME, xattr), ring).verdict).toBe('refused');
  });

  test('any changed bit of a signature is not good', () => {
    const entry = signedEntry(p256.privateKey && { privateKey: p256.privateKey, key: keys.p256 });
    const sig = entry.fields.get('sig') ?? FILE;
    fc.assert(
      fc.property(fc.nat(8 * sig.length - 1), (bit) => {
        const changed = Uint8Array.from(sig);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const fields = new Map(entry.fields).set('sig', changed);
        expect(verdictOf({ ...entry, fields }, ring)).not.toBe('good');
      }),
      { numRuns: 150 },
    );
  });

  test('bytes.bounds: a header is whole or refused', () => {
    const bytes = xattrSignature(keys.rsa, good);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(parseErrorOf(() => parseImaSignature(bytes.subarray(0, length))).offset).toBeLessThanOrEqual(
        length,
      );
    }
    const parsed = parseImaSignature(bytes);
    expect(parsed).toMatchObject({
      kind: 'file',
      version: 2,
      keyId: keys.rsa.keyId,
      hash: { name: 'sha256' },
    });
  });

  test.each([
    ['version 1', { version: 1 }],
    ['version 2 of fs-verity', { type: 6 }],
    ['a hash that is unknown', { hash: 99 }],
  ])('bytes.known: %s', (_, options) => {
    expect(() => parseImaSignature(xattrSignature(keys.rsa, good, options))).toThrow('ima.sig');
  });
});

describe('keys', () => {
  test('weak keys are not taken', () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey;
    expect(() => imaKey(weak)).toThrow(RangeError);
    expect(() => imaKey(rsa.publicKey, Uint8Array.of(1, 2, 3))).toThrow(RangeError);
  });

  test('a bare key has the id that its certificate would give it', () => {
    const certificate = parseCertificate(bytesOf('keys/ima.der'));
    expect(imaKey(certificate.publicKey).keyId).toBe(imaKeyOfCertificate(certificate).keyId);
    expect(imaKeyOfCertificate(certificate).keyId.toString(16)).toBe('8c8b29f5');
  });

  test('an Ed25519 key signs nothing here', () => {
    const key = { ...imaKey(generateKeyPairSync('ed25519').publicKey), keyId: keys.rsa.keyId };
    expect(verdictOf(signedEntry({ privateKey: rsa.privateKey }), new ImaKeyring([key]))).toBe('bad');
  });
});

describe('bare digests', () => {
  test('SHA-1 is not verified, whoever asks', () => {
    const signature = sign('sha1', FILE, p256.privateKey);
    expect(verifyDigest(keys.p256, 'sha1', digest('sha1'), signature)).toBe(false);
  });

  test('an RSA signature is as long as the modulus, zeros included', () => {
    const short = Array.from({ length: 5000 }, (_, i) => utf8(`file ${i}`)).find(
      (message) => sign('sha256', message, rsa.privateKey)[0] === 0,
    );
    const message = short ?? expect.unreachable('one of 256 signatures begins with zero');
    const signature = sign('sha256', message, rsa.privateKey);
    expect(verifyDigest(keys.rsa, 'sha256', digest('sha256', message), signature)).toBe(true);
    expect(verifyDigest(keys.rsa, 'sha256', digest('sha256', message), signature.subarray(1))).toBe(false);
  });
});

describe('the memo of good results', () => {
  test('answers for the same key, digest and signature only', () => {
    const memo = imaSignatureMemo(10);
    const entry = signedEntry({ privateKey: rsa.privateKey });
    const other = signedEntry({ privateKey: p256.privateKey, key: keys.p256 });
    let asked = 0;
    let hits = 0;
    const counting = {
      has: (result: string) => {
        asked++;
        hits += Number(memo.has(result));
        return memo.has(result);
      },
      add: memo.add,
    };
    for (const each of [entry, entry, other, entry, other]) {
      expect(verdictOf(each, ring, counting)).toBe('good');
    }
    expect([asked, hits]).toEqual([5, 3]);
    const mixed = {
      ...entry,
      digest: { algo: 'sha256', type: 'ima' as const, value: digest('sha256', NAME) },
    };
    expect(verdictOf(mixed, ring, counting)).toBe('bad');
    expect(verdictOf(mixed, ring, counting)).toBe('bad');
    expect(hits).toBe(3);
  });

  test('stays within its capacity', () => {
    const memo = imaSignatureMemo(2);
    for (const result of ['a', 'b', 'c']) memo.add(result);
    expect(['a', 'b', 'c'].map(memo.has)).toEqual([false, true, true]);
  });
});
