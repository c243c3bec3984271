import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Reader } from '../../../../core/bytes/reader.ts';
import { Writer } from '../../../../core/bytes/writer.ts';
import { ParseError } from '../../../../core/errors.ts';
import { parsePcrBlob, renderPcrBlob } from '../../../../core/messages/keylime/pcr-blob.ts';
import { parseQuoteString } from '../../../../core/messages/keylime/quote-string.ts';
import { marshalTpmsAttest, parseTpmsAttest } from '../../../../core/tpm/attest.ts';
import { parseCredentialBlob, renderCredentialBlob } from '../../../../core/tpm/credential.ts';
import { computeName } from '../../../../core/tpm/name.ts';
import { readTpmaObject, tpmaObjectBits } from '../../../../core/tpm/object-attributes.ts';
import {
  readTpmlDigest,
  readTpmlPcrSelection,
  writeTpmlDigest,
  writeTpmlPcrSelection,
} from '../../../../core/tpm/pcr-selection.ts';
import {
  marshalTpm2bPublic,
  marshalTpmtPublic,
  parseTpm2bPublic,
  parseTpmtPublic,
  readTpmtTemplate,
} from '../../../../core/tpm/public.ts';
import { appraiseQuote } from '../../../../core/tpm/quote.ts';
import { marshalTpmtSignature, parseTpmtSignature } from '../../../../core/tpm/signature.ts';
import * as any from './arbitraries.ts';
import { expectWhole, loadVectors, unbase64, unhex, vector } from './vectors.ts';

const ecdsa = vector(loadVectors('quote'), 'ecdsa-p256-ok');
const rsassa = vector(loadVectors('quote'), 'rsassa-sha256-ok');
const pcrBlob = unbase64(rsassa.pcrBlob ?? '');
const parseSelection = whole(readTpmlPcrSelection);
const parseDigests = whole(readTpmlDigest);

interface Case {
  readonly name: string;
  readonly parse: (bytes: Uint8Array) => unknown;
  readonly sample: Uint8Array;
}

const cases: readonly Case[] = [
  { name: 'TPMS_ATTEST of a quote', parse: parseTpmsAttest, sample: unhex(rsassa.attest) },
  {
    name: 'TPMS_ATTEST of a certification',
    parse: parseTpmsAttest,
    sample: unhex(loadVectors('certify')[0]?.attest ?? ''),
  },
  { name: 'TPMT_SIGNATURE, RSASSA', parse: parseTpmtSignature, sample: unhex(rsassa.signature) },
  { name: 'TPMT_SIGNATURE, ECDSA', parse: parseTpmtSignature, sample: unhex(ecdsa.signature) },
  { name: 'TPM2B_PUBLIC, RSA', parse: parseTpm2bPublic, sample: unhex(rsassa.akPublic) },
  { name: 'TPM2B_PUBLIC, ECC', parse: parseTpm2bPublic, sample: unhex(ecdsa.akPublic) },
  { name: 'TPMT_PUBLIC', parse: parseTpmtPublic, sample: unhex(ecdsa.akPublic).subarray(2) },
  { name: 'TPML_PCR_SELECTION', parse: parseSelection, sample: unhex('00000002000403ff0700000b03ff0701') },
  { name: 'TPML_DIGEST', parse: parseDigests, sample: unhex('00000002000401020304000105') },
  { name: 'PCR values of tpm2-tools', parse: parsePcrBlob, sample: pcrBlob },
  {
    name: 'credential of tpm2-tools',
    parse: parseCredentialBlob,
    sample: unhex(vector(loadVectors('credential'), 'H-3').blob),
  },
];

for (const { name, parse, sample } of cases) {
  describe(name, () => {
    test('bytes.bounds: every prefix and any suffix is refused', () => {
      expect(() => parse(sample)).not.toThrow();
      expectWhole(parse, sample);
    });

    test('bytes.bounds: changed bytes are read, or refused with a ParseError', () => {
      fc.assert(fc.property(any.mutated(sample), (bytes) => onlyParseError(() => parse(bytes))));
    });

    test('bytes.bounds: random bytes are refused with a ParseError', () => {
      fc.assert(fc.property(any.bytes(300), (bytes) => onlyParseError(() => parse(bytes))));
    });
  });
}

describe('what is written is read back', () => {
  test('TPMT_PUBLIC and TPM2B_PUBLIC', () => {
    fc.assert(
      fc.property(any.publicArea, (publicArea) => {
        const bytes = marshalTpmtPublic(publicArea);
        expect(parseTpmtPublic(bytes)).toEqual(publicArea);
        expect(marshalTpmtPublic(parseTpm2bPublic(marshalTpm2bPublic(publicArea)))).toEqual(bytes);
        expect(computeName(parseTpmtPublic(bytes))).toEqual(computeName(publicArea));
      }),
    );
  });

  test('templates, which are not keys', () => {
    const parseTemplate = whole(readTpmtTemplate);
    fc.assert(
      fc.property(any.template, (template) => {
        expect(parseTemplate(marshalTpmtPublic(template))).toEqual(template);
        expect(() => parseTpmtPublic(marshalTpmtPublic(template))).toThrow(/unique/);
      }),
    );
  });

  test('TPMS_ATTEST', () => {
    fc.assert(
      fc.property(any.attest, (x) => {
        expect(parseTpmsAttest(marshalTpmsAttest(x))).toEqual(x);
      }),
    );
  });

  test('TPMT_SIGNATURE', () => {
    fc.assert(
      fc.property(any.signature, (x) => {
        expect(parseTpmtSignature(marshalTpmtSignature(x))).toEqual(x);
      }),
    );
  });

  test('TPMA_OBJECT', () => {
    fc.assert(
      fc.property(any.objectAttributes, (x) => {
        expect(whole(readTpmaObject)(new Writer().u32(tpmaObjectBits(x)).bytes())).toEqual(x);
      }),
    );
  });

  test('TPML_PCR_SELECTION', () => {
    fc.assert(
      fc.property(any.pcrSelection, (x) => {
        const w = new Writer();
        writeTpmlPcrSelection(w, x);
        expect(parseSelection(w.bytes())).toEqual(x);
      }),
    );
  });

  test('TPML_DIGEST', () => {
    fc.assert(
      fc.property(fc.array(any.bytes(64), { maxLength: 8 }), (x) => {
        const w = new Writer();
        writeTpmlDigest(w, x);
        expect(parseDigests(w.bytes())).toEqual(x);
      }),
    );
  });

  test('PCR values of tpm2-tools', () => {
    fc.assert(
      fc.property(any.pcrBanks, ({ selections, values }) => {
        expect(parsePcrBlob(renderPcrBlob(selections, values))).toEqual({ selections, values });
      }),
    );
  });

  test('credentials of tpm2-tools', () => {
    fc.assert(
      fc.property(any.bytes(132), any.bytes(512), (idObject, encryptedSecret) => {
        const credential = { idObject, encryptedSecret };
        expect(parseCredentialBlob(renderCredentialBlob(credential))).toEqual(credential);
      }),
    );
  });
});

test('a quote with anything changed gives findings or passes, and never throws', () => {
  const akPublic = parseTpm2bPublic(unhex(ecdsa.akPublic));
  const { values } = parsePcrBlob(unbase64(ecdsa.pcrBlob ?? ''));
  const rest = { akPublic, nonce: unhex(ecdsa.nonce), pcrValues: values, selection: ecdsa.asked };
  const mutants = fc.tuple(any.mutated(unhex(ecdsa.attest)), any.mutated(unhex(ecdsa.signature)));
  fc.assert(
    fc.property(mutants, ([attest, signature]) => {
      const appraisal = appraiseQuote({ ...rest, attest, signature });
      expect(appraisal.ok || appraisal.findings.length > 0).toBe(true);
      // Leading zeros apart, an attestation that passes is the one that was signed.
      if (appraisal.ok) expect(attest).toEqual(unhex(ecdsa.attest));
    }),
  );
});

test('quote strings: any text is read, or refused with a ParseError', () => {
  fc.assert(fc.property(fc.string(), (text) => onlyParseError(() => parseQuoteString(`r${text}`))));
});

/** A parser of a whole structure out of a reader of one inside another. */
function whole<T>(read: (r: Reader) => T): (bytes: Uint8Array) => T {
  return (bytes) => {
    const r = new Reader(bytes, 'test');
    const value = read(r);
    r.end();
    return value;
  };
}

function onlyParseError(act: () => unknown): void {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(ParseError);
  }
}
