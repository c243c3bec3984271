import { describe, expect, test } from 'vitest';
import { ParseError } from '../../../../core/errors.ts';
import { EXTENSION } from '../../../../core/x509/certificate.ts';
import { type CrlContent, parseCrl, writeCrl } from '../../../../core/x509/crl.ts';
import { explicitTag, TAG } from '../../../../core/x509/der.ts';
import { der, derOid, derSequence, derTime, derUnsigned } from '../../../../core/x509/der-writer.ts';
import { BEFORE, extension, forgeCa, NOON } from './forge.ts';
import { type CrlForgery, crlEntry, crlKeyId, crlNumber, forgeCrl, reasonOf } from './forge-crl.ts';

const NONE = new Uint8Array();
const text = (tag: number, value: string) => der(tag, Buffer.from(value, 'latin1'));
const utc = (value: string) => text(TAG.UTC_TIME, value);
const generalized = (value: string) => text(TAG.GENERALIZED_TIME, value);
const integer = (...octets: readonly number[]) => der(TAG.INTEGER, Uint8Array.from(octets));
const list = (...entries: readonly Uint8Array[]) => derSequence(...entries);

const REFUSED: readonly (readonly [what: string, field: RegExp, CrlForgery])[] = [
  ['version 1, which says nothing', /version/, { version: NONE, extensionsField: NONE }],
  ['version 3', /is not 2/, { version: integer(2) }],
  ['an algorithm that is not the signed one', /differs/, { outerAlgorithm: derSequence(derOid('1.2.3')) }],
  ['no nextUpdate', /nextUpdate/, { nextUpdate: NONE }],
  ['no thisUpdate', /nextUpdate/, { thisUpdate: NONE }],
  ['thisUpdate as a GeneralizedTime of 2049', /2050/, { thisUpdate: generalized('20491231235959Z') }],
  ['nextUpdate as a GeneralizedTime of 2049', /2050/, { nextUpdate: generalized('20491231235959Z') }],
  ['a time with a fraction', /time/, { nextUpdate: generalized('20500101000000.1Z') }],
  ['a time in another zone', /time/, { nextUpdate: utc('270101000000+0100') }],
  ['a time without seconds', /time/, { nextUpdate: utc('2701010000Z') }],
  ['a day that is not', /time/, { nextUpdate: utc('270230000000Z') }],
  ['a list that is there and empty', /entry/, { revoked: list() }],
  ['an entry of which the date is missing', /revocationDate/, { revoked: list(derSequence(integer(5))) }],
  [
    'an entry whose date is a GeneralizedTime of 2049',
    /revocationDate/,
    { revoked: list(crlEntry(integer(5), undefined, generalized('20491231235959Z'))) },
  ],
  ['an entry with an empty list of extensions', /extension/, { revoked: list(crlEntry(integer(5), [])) }],
  [
    'a serial number twice',
    /stands twice/,
    { revoked: list(crlEntry(integer(5)), crlEntry(integer(6)), crlEntry(integer(5), [reasonOf(1)])) },
  ],
  ['a serial number that is not minimal', /minimal/, { revoked: list(crlEntry(integer(0, 5))) }],
  ['a serial number without digits', /empty integer/, { revoked: list(crlEntry(integer())) }],
  [
    'bytes behind an entry',
    /trailing/,
    { revoked: list(derSequence(integer(5), derTime(BEFORE), derSequence(reasonOf(1)), integer(1))) },
  ],
  [
    'an entry for another issuer, as in an indirect CRL',
    /2\.5\.29\.29 is critical/,
    { revoked: list(crlEntry(integer(5), [extension('2.5.29.29', true, derSequence())])) },
  ],
  [
    'an entry with an unknown critical extension',
    /1\.2\.3\.4 is critical/,
    { revoked: list(crlEntry(integer(5), [reasonOf(1), extension('1.2.3.4', true, NONE)])) },
  ],
  [
    'an entry with a reason twice',
    /stands twice/,
    { revoked: list(crlEntry(integer(5), [reasonOf(1), reasonOf(1)])) },
  ],
  [
    'a reason that is an INTEGER',
    /code/,
    { revoked: list(crlEntry(integer(5), [extension(EXTENSION.CRL_REASON, false, integer(1))])) },
  ],
  [
    'bytes behind a reason',
    /trailing/,
    {
      revoked: list(
        crlEntry(integer(5), [
          extension(EXTENSION.CRL_REASON, false, Uint8Array.of(TAG.ENUMERATED, 1, 1, 0)),
        ]),
      ),
    },
  ],
  ['no extensions', /crlExtensions/, { extensionsField: NONE }],
  ['an empty list of extensions', /extension/, { extensions: [] }],
  [
    'a critical issuingDistributionPoint, which narrows it',
    /2\.5\.29\.28 is critical/,
    { extensions: [crlNumber(1), extension('2.5.29.28', true, derSequence())] },
  ],
  [
    'a critical deltaCRLIndicator, which makes it a part of another',
    /2\.5\.29\.27 is critical/,
    { extensions: [crlNumber(1), extension('2.5.29.27', true, integer(1))] },
  ],
  [
    'an unknown critical extension',
    /1\.2\.3\.4 is critical/,
    { extensions: [crlKeyId, crlNumber(1), extension('1.2.3.4', true, NONE)] },
  ],
  ['an extension twice', /stands twice/, { extensions: [crlNumber(1), crlNumber(1)] }],
  ['a negative number', /number/, { extensions: [crlNumber(0x80)] }],
  ['a number of 21 bytes', /number/, { extensions: [crlNumber(1, ...new Array(20).fill(0))] }],
  ['a number that is not minimal', /minimal/, { extensions: [crlNumber(0, 1)] }],
  [
    'bytes behind a number',
    /trailing/,
    { extensions: [extension(EXTENSION.CRL_NUMBER, false, Uint8Array.of(2, 1, 1, 0))] },
  ],
  ['bytes behind the extensions', /trailing/, { behind: integer(1) }],
  [
    'bytes behind the list of extensions',
    /trailing/,
    { extensionsField: der(explicitTag(0), derSequence(crlNumber(1)), integer(1)) },
  ],
  [
    'a signature that is not of whole bytes',
    /signature/,
    { signature: der(TAG.BIT_STRING, Uint8Array.of(1, 2)) },
  ],
  ['no signature', /signature/, { signature: NONE }],
];

describe('parseCrl refuses', () => {
  for (const [what, problem, forgery] of REFUSED) {
    test(what, () => {
      expect(() => parseCrl(forgeCrl(forgery))).toThrow(ParseError);
      expect(() => parseCrl(forgeCrl(forgery))).toThrow(problem);
    });
  }
});

describe('parseCrl reads', () => {
  test('what the cases depart from', () => {
    const crl = parseCrl(forgeCrl());
    expect(crl).toMatchObject({ number: 1n, authorityKeyId: new Uint8Array(20) });
    expect([...crl.revoked]).toEqual([['05', { revokedAt: BEFORE, reason: 4 }]]);
  });

  test('an entry without extensions, and one with extensions that are not critical', () => {
    const other = extension('1.2.3.4', false, NONE);
    const crl = parseCrl(
      forgeCrl({ revoked: list(crlEntry(integer(5)), crlEntry(integer(6), [other, reasonOf(1)])) }),
    );
    expect([...crl.revoked.values()].map(({ reason }) => reason)).toEqual([undefined, 1]);
  });

  test('every reason code', () => {
    const codes = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10];
    const entries = codes.map((code) => crlEntry(derUnsigned(Uint8Array.of(code + 1)), [reasonOf(code)]));
    const crl = parseCrl(forgeCrl({ revoked: list(...entries) }));
    expect([...crl.revoked.values()].map(({ reason }) => reason)).toEqual(codes);
  });

  test('a CRL without a list, without a number, and with extensions that are not critical', () => {
    const forgery = { revoked: NONE, extensions: [extension('1.2.3.4', false, NONE)] };
    expect(parseCrl(forgeCrl(forgery))).toMatchObject({ number: undefined, authorityKeyId: undefined });
  });

  test('a serial number that is negative, for it is there in the certificate too', () => {
    expect(parseCrl(forgeCrl({ revoked: list(crlEntry(integer(0x90))) })).revoked.has('90')).toBe(true);
  });
});

describe('the years 2049 and 2050', () => {
  const ca = forgeCa();
  const write = (content: Partial<CrlContent>) =>
    writeCrl(ca.certificate, ca.key.privateKey, {
      number: 1n,
      thisUpdate: NOON,
      nextUpdate: NOON,
      revoked: [],
      ...content,
    });
  const LAST_UTC = new Date('2049-12-31T23:59:59Z');
  const FIRST_GENERALIZED = new Date('2050-01-01T00:00:00Z');

  test('are written as UTCTime and as GeneralizedTime, in all three places', () => {
    const written = Buffer.from(
      write({
        thisUpdate: LAST_UTC,
        nextUpdate: FIRST_GENERALIZED,
        revoked: [
          { serialHex: '41', revokedAt: LAST_UTC, reason: 'superseded' },
          { serialHex: '42', revokedAt: FIRST_GENERALIZED, reason: 'superseded' },
        ],
      }),
    );
    const count = (bytes: Uint8Array) =>
      written.toString('hex').split(Buffer.from(bytes).toString('hex')).length - 1;
    expect(count(utc('491231235959Z'))).toBe(2);
    expect(count(generalized('20500101000000Z'))).toBe(2);
    const crl = parseCrl(written);
    expect(crl).toMatchObject({ thisUpdate: LAST_UTC, nextUpdate: FIRST_GENERALIZED });
    expect([...crl.revoked.values()].map(({ revokedAt }) => revokedAt)).toEqual([
      LAST_UTC,
      FIRST_GENERALIZED,
    ]);
  });

  test('a UTCTime of the year 50 is 1950', () => {
    const crl = parseCrl(forgeCrl({ thisUpdate: utc('500101000000Z') }));
    expect(crl.thisUpdate).toEqual(new Date('1950-01-01T00:00:00Z'));
  });
});
