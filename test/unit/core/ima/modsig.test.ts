import { createHash, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ParseError } from '../../../../core/errors.ts';
import { parseDetachedCms } from '../../../../core/ima/cms.ts';
import { ImaKeyring, imaKey, imaKeyOfCertificate } from '../../../../core/ima/key.ts';
import { verifyModsig } from '../../../../core/ima/modsig.ts';
import { parseCertificate } from '../../../../core/x509/certificate.ts';
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
