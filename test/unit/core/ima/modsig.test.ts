import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ParseError } from '../../../../core/errors.ts';
import { parseDetachedCms } from '../../../../core/ima/cms.ts';
import { ImaKeyring, imaKey, imaKeyOfCertificate } from '../../../../core/ima/key.ts';
import { verifyModsig } from '../../../../core/ima/modsig.ts';
import { parseCertificate } from '../../../../core/x509/certificate.ts';
import { explicitTag, implicitTag, TAG } from '../../../../core/x509/der.ts';
import { der, derList, derOid, derSequence, derUnsigned } from '../../../../core/x509/der-writer.ts';
import { bytesOf, digestNg, entryOf, unhex, utf8 } from './vectors.ts';

interface CmsVectors {
  readonly content: string;
  readonly certificates: Readonly<Record<'rsa' | 'ec', string>>;
  readonly signatures: Readonly<
    Record<'rsaWithoutAttributes' | 'rsaByKeyId' | 'ecWithAttributes' | 'attached' | 'sha1', string>
  >;
}

const vectors: CmsVectors = JSON.parse(Buffer.from(bytesOf('cms.json')).toString());
const { signatures } = vectors;
const rsa = imaKeyOfCertificate(parseCertificate(unhex(vectors.certificates.rsa)));
const ec = imaKeyOfCertificate(parseCertificate(unhex(vectors.certificates.ec)));
const ring = new ImaKeyring([rsa, ec]);

const contentDigest = (algo: string, content = unhex(vectors.content)): Uint8Array =>
  new Uint8Array(createHash(algo).update(content).digest());

function modsigEntry(modsig: Uint8Array, algo: string, digest = contentDigest(algo)) {
  const whole = digestNg('sha256', new Uint8Array(32));
  const name = utf8('/usr/lib/modules/6.1.0/kernel/fs/fuse/fuse.ko\0');
  return entryOf('ima-modsig', whole, name, new Uint8Array(), digestNg(algo, digest), modsig);
}

const DATA = derOid('1.2.840.113549.1.7.1');
const attribute = (oid: string, value: Uint8Array): Uint8Array =>
  derSequence(derOid(oid), der(TAG.SET, value));
const contentType = attribute('1.2.840.113549.1.9.3', DATA);
const messageDigest = attribute('1.2.840.113549.1.9.4', der(TAG.OCTET_STRING, contentDigest('sha256')));

/** One SignerInfo by key id, with its parts. */
function signerInfo({
  version = 3,
  algorithm = '1.2.840.113549.1.1.11',
  attributes = [] as readonly Uint8Array[],
  signature = new Uint8Array(256),
} = {}): Uint8Array {
  return derSequence(
    derUnsigned(Uint8Array.of(version)),
    der(implicitTag(0), ec.subjectKeyId),
    derSequence(derOid('2.16.840.1.101.3.4.2.1')),
    attributes.length === 0 ? new Uint8Array() : derList(explicitTag(0), attributes),
    derSequence(derOid(algorithm)),
    der(TAG.OCTET_STRING, signature),
  );
}

function cmsOf(...signers: readonly Uint8Array[]): Uint8Array {
  const data = derSequence(
    derUnsigned(Uint8Array.of(1)),
    der(TAG.SET),
    derSequence(DATA),
    derList(TAG.SET, signers),
  );
  return derSequence(derOid('1.2.840.113549.1.7.2'), der(explicitTag(0), data));
}

describe('CMS with something wrong in it', () => {
  test('the parts that the cases are made of', () => {
    const [signer] = parseDetachedCms(cmsOf(signerInfo({ attributes: [contentType, messageDigest] })));
    expect(signer).toMatchObject({ hash: 'sha256', keyType: 'rsa' });
    expect(signer?.attributes?.messageDigest).toEqual(contentDigest('sha256'));
    expect(parseDetachedCms(cmsOf(...Array(8).fill(signerInfo())))).toHaveLength(8);
  });

  const other = (i: number): Uint8Array => attribute(`1.2.3.${i}`, DATA);
  test.each([
    ['more than 8 signers', cmsOf(...Array(9).fill(signerInfo())), 'more than 8 signers'],
    [
      'a version that does not fit',
      cmsOf(signerInfo({ version: 1 })),
      'does not fit how the signer is named',
    ],
    [
      'an attribute twice',
      cmsOf(signerInfo({ attributes: [contentType, messageDigest, messageDigest] })),
      'stands twice',
    ],
    ['no message digest', cmsOf(signerInfo({ attributes: [contentType] })), 'lack content type or digest'],
    ['no content type', cmsOf(signerInfo({ attributes: [messageDigest] })), 'lack content type or digest'],
    [
      'more than 32 attributes',
      cmsOf(
        signerInfo({
          attributes: [contentType, messageDigest, ...Array.from({ length: 31 }, (_, i) => other(i))],
        }),
      ),
      'more than 32 attributes',
    ],
  ])('%s', (_, bytes, problem) => {
    expect(() => parseDetachedCms(bytes)).toThrow(problem);
  });

  test('a signature of a key of another type than it says', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = { ...imaKey(publicKey), subjectKeyId: ec.subjectKeyId };
    const signature = sign('sha256', unhex(vectors.content), privateKey);
    const verdict = (algorithm: string) =>
      verifyModsig(modsigEntry(cmsOf(signerInfo({ algorithm, signature })), 'sha256'), new ImaKeyring([key]))
        .verdict;
    expect(verdict('1.2.840.10045.4.3.2')).toBe('good');
    expect(verdict('1.2.840.113549.1.1.11')).toBe('bad');
  });
});

describe('appended signatures, as OpenSSL and the kernel make them', () => {
  test.each([
    ['RSA by issuer and serial, over the digest itself', 'rsaWithoutAttributes', 'sha512', rsa],
    ['RSA by key id', 'rsaByKeyId', 'sha256', rsa],
    ['ECDSA with signed attributes and a certificate inside', 'ecWithAttributes', 'sha384', ec],
  ] as const)('%s', (_, name, algo, key) => {
    const modsig = unhex(signatures[name]);
    expect(verifyModsig(modsigEntry(modsig, algo), ring)).toEqual({ verdict: 'good', key });
    const other = modsigEntry(modsig, algo, contentDigest(algo, utf8('another module')));
    expect(verifyModsig(other, ring).verdict).toBe('bad');
    expect(verifyModsig(modsigEntry(modsig, algo), new ImaKeyring([])).verdict).toBe('unknown-key');
  });

  test('ima.keys: a certificate in the signature is not a key to trust', () => {
    const entry = modsigEntry(unhex(signatures.ecWithAttributes), 'sha384');
    expect(verifyModsig(entry, new ImaKeyring([rsa])).verdict).toBe('unknown-key');
  });

  test('signed attributes count only with the signature over them', () => {
    const cms = unhex(signatures.ecWithAttributes);
    // The digest in the attributes becomes that of another module: it is the one of d-modsig, but not signed.
    const other = contentDigest('sha384', utf8('another module'));
    const at = Buffer.from(cms).indexOf(contentDigest('sha384'));
    cms.set(other, at);
    expect(verifyModsig(modsigEntry(cms, 'sha384', other), ring).verdict).toBe('bad');
  });

  test('a bare key is not named by issuer and serial, only by key id', () => {
    const bare = new ImaKeyring([imaKey(rsa.publicKey)]);
    expect(verifyModsig(modsigEntry(unhex(signatures.rsaByKeyId), 'sha256'), bare).verdict).toBe('good');
    const entry = modsigEntry(unhex(signatures.rsaWithoutAttributes), 'sha512');
    expect(verifyModsig(entry, bare).verdict).toBe('unknown-key');
  });

  test('a key of another type under the same name is bad', () => {
    const impostor = {
      ...imaKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey),
      issuer: rsa.issuer,
    };
    const entry = modsigEntry(unhex(signatures.rsaWithoutAttributes), 'sha512');
    expect(verifyModsig(entry, new ImaKeyring([impostor])).verdict).toBe('bad');
  });

  test.each([
    ['content inside', modsigEntry(unhex(signatures.attached), 'sha256'), 'detached'],
    ['SHA-1', modsigEntry(unhex(signatures.sha1), 'sha256'), 'not accepted'],
    [
      'a d-modsig of another algorithm',
      modsigEntry(unhex(signatures.rsaByKeyId), 'sha512'),
      'd-modsig is a sha512',
    ],
    ['no CMS', modsigEntry(utf8('~Module signature appended~\n'), 'sha256'), 'CMS'],
    [
      'no d-modsig',
      entryOf('d-ng|modsig', digestNg('sha256', new Uint8Array(32)), unhex(signatures.rsaByKeyId)),
      'no d-modsig',
    ],
  ])('%s is refused', (_, entry, why) => {
    const verdict = verifyModsig(entry, ring);
    expect(verdict).toMatchObject({ verdict: 'refused', why: expect.stringContaining(why) });
  });

  test('an entry without one', () => {
    expect(verifyModsig(modsigEntry(new Uint8Array(), 'sha256'), ring)).toEqual({ verdict: 'none' });
  });

  test.each(Object.keys(signatures) as (keyof typeof signatures)[])(
    'bytes.bounds: %s, cut anywhere or changed anywhere, is refused or parsed, never anything else',
    (name) => {
      const bytes = unhex(signatures[name]);
      for (let length = 0; length < bytes.length; length++) {
        expect(() => parseDetachedCms(bytes.subarray(0, length))).toThrow(ParseError);
      }
      fc.assert(
        fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
          const changed = Uint8Array.from(bytes);
          changed[at] = (changed[at] ?? 0) ^ by;
          try {
            parseDetachedCms(changed);
          } catch (error) {
            expect(error).toBeInstanceOf(ParseError);
          }
        }),
        { numRuns: 300 },
      );
    },
  );
});
