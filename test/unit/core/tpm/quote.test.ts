import { hash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { equalBytes } from '../../../../core/bytes/encoding.ts';
import { parsePcrBlob } from '../../../../core/messages/keylime/pcr-blob.ts';
import type { HashName } from '../../../../core/tpm/constants.ts';
import { TPM_RH } from '../../../../core/tpm/constants.ts';
import { publicKeyOf } from '../../../../core/tpm/key.ts';
import { computeName, hierarchyName, qualifiedName } from '../../../../core/tpm/name.ts';
import { tpmaObject } from '../../../../core/tpm/object-attributes.ts';
import type { PcrBanks, TpmsPcrSelection } from '../../../../core/tpm/pcr-selection.ts';
import { parseTpm2bPublic } from '../../../../core/tpm/public.ts';
import { appraiseQuote, type QuoteInput } from '../../../../core/tpm/quote.ts';
import { attestation, NONCE, quoteInfo, signed, softwareEcc } from './software-key.ts';
import { loadVectors, type QuoteVector, unbase64, unhex, vector } from './vectors.ts';

// What the vectors call the failing check, and our rule for it.
const RULES: Readonly<Record<string, string>> = {
  ak_attributes: 'ak.attributes',
  ak_name: 'computeName',
  bank: 'quote.bank',
  nonce: 'quote.nonce',
  parse: 'bytes.bounds',
  pcr_digest: 'quote.digest',
  pcr_selection: 'quote.selection',
  qualified_signer: 'quote.signer',
  sig_scheme: 'quote.signer',
  signature: 'quote.signature',
  type: 'quote.magic',
};

const quotes = loadVectors('quote');

describe('quotes of TPMs', () => {
  for (const quote of quotes) {
    test(`${quote.name}: ${quote.what}`, () => {
      // That another AK under the same EK signed shows in the Qualified Name as well.
      const place = quote.name === 'other-ak-ecdsa' ? { akQualifiedName: qualifiedNameOf(quote) } : {};
      const appraisal = appraiseQuote({ ...inputOf(quote), ...place });
      const rules = appraisal.ok ? [] : appraisal.findings.map(({ rule }) => rule);
      if (!equalBytes(computeName(parseTpm2bPublic(unhex(quote.akPublic))), unhex(quote.akName))) {
        rules.push('computeName');
      }
      const expected = quote.failingChecks.map((check) => RULES[check]);
      expect(new Set(rules)).toEqual(new Set(expected));
    });
  }

  test('a verified quote carries what was signed', () => {
    const input = inputOf(vector(quotes, 'all-pcrs-ok'));
    const appraisal = appraiseQuote(input);
    if (!appraisal.ok) throw new Error('a good quote was refused');
    const { quote } = appraisal;
    expect([...quote.pcrs.keys()]).toEqual(Array.from({ length: 24 }, (_, pcr) => pcr));
    expect(quote.bank).toBe('sha256');
    expect(quote.clockInfo).toMatchObject({ restartCount: 0, safe: true });
    expect(typeof quote.clockInfo.clock).toBe('bigint');
    expect(quote.attest).toBe(input.attest);
  });

  test('quote.clock: a TPM restart shows in resetCount', () => {
    const count = (name: string) => {
      const appraisal = appraiseQuote(inputOf(vector(quotes, name)));
      if (!appraisal.ok) throw new Error('a good quote was refused');
      return appraisal.quote.clockInfo.resetCount;
    };
    expect(count('after-reboot-ok')).toBe(count('before-reboot') + 1);
  });

  test('other banks that were asked for are not among the verified values', () => {
    const appraisal = appraiseQuote(inputOf(vector(quotes, 'two-banks-ok')));
    if (!appraisal.ok) throw new Error('a good quote was refused');
    expect([...appraisal.quote.pcrs.values()].every((value) => value.length === 32)).toBe(true);
  });
});

describe('quotes of a key that signs anything', () => {
  const ak = softwareEcc();
  const values = pcrValues(['sha256', [0, 1, 10]]);
  const select: readonly TpmsPcrSelection[] = [{ hash: 'sha256', pcrs: [0, 1, 10] }];
  const good = input();

  test('the good one passes, with an imported key or without', () => {
    expect(appraiseQuote(good).ok).toBe(true);
    expect(appraiseQuote({ ...good, akKey: publicKeyOf(ak.publicArea) }).ok).toBe(true);
  });

  test('quote.magic: bytes that no TPM generated', () => {
    const bytes = Uint8Array.from(good.attest);
    bytes[0] = 0xfe;
    expect(rulesOf({ ...good, attest: bytes })).toContain('quote.magic');
  });

  test('quote.magic: an attestation of a kind that we do not know', () => {
    const bytes = Uint8Array.from(good.attest);
    bytes[5] = 0x19;
    expect(rulesOf({ ...good, attest: bytes })).toContain('quote.magic');
  });

  test('quote.signer: a hash other than the one the key is bound to', () => {
    const publicArea = { ...softwareEcc().publicArea, ...ak.publicArea };
    if (publicArea.type !== 'ecc') throw new Error('an ECC key expected');
    const akPublic = { ...publicArea, scheme: { type: 'ecdsa', hash: 'sha384' } } as const;
    expect(rulesOf({ ...good, akPublic })).toEqual(['quote.signer']);
  });

  test('quote.signer: another place in the hierarchy', () => {
    expect(rulesOf({ ...good, akQualifiedName: new Uint8Array(34) })).toEqual(['quote.signer']);
  });

  test('quote.signature: another key', () => {
    expect(rulesOf({ ...good, akPublic: softwareEcc().publicArea })).toEqual(['quote.signature']);
  });

  test('quote.nonce: a prefix of the nonce, and one byte more', () => {
    expect(rulesOf({ ...good, nonce: NONCE.subarray(0, 31) })).toEqual(['quote.nonce']);
    expect(rulesOf({ ...good, nonce: Uint8Array.of(...NONCE, 0) })).toEqual(['quote.nonce']);
  });

  test('quote.selection: more PCRs than asked for', () => {
    expect(rulesOf({ ...good, selection: { bank: 'sha256', pcrs: [0, 1] } })).toEqual(['quote.selection']);
  });

  test('quote.selection: fewer PCRs than asked for', () => {
    expect(rulesOf({ ...good, selection: { bank: 'sha256', pcrs: [0, 1, 7, 10] } })).toEqual([
      'quote.selection',
    ]);
  });

  test('quote.selection: a bank that nobody asked for', () => {
    const both = [...select, { hash: 'sha384', pcrs: [4] }] as const;
    const two = input({ values: pcrValues(['sha256', [0, 1, 10]], ['sha384', [4]]), select: both });
    expect(rulesOf(two)).toEqual(['quote.selection']);
  });

  test('quote.selection: a bank that was asked for besides is missing', () => {
    const selection = { ...good.selection, alsoBanks: ['sha384'] } as const;
    expect(rulesOf({ ...good, selection })).toEqual(['quote.selection']);
  });

  test('the order and repetition of what was asked for do not matter', () => {
    expect(appraiseQuote({ ...good, selection: { bank: 'sha256', pcrs: [10, 1, 0, 1] } }).ok).toBe(true);
  });

  test('quote.bank: SHA-1, although asked for', () => {
    const sha1 = { values: pcrValues(['sha1', [0]]), select: [{ hash: 'sha1', pcrs: [0] }] } as const;
    expect(rulesOf({ ...input(sha1), selection: { bank: 'sha1', pcrs: [0] } })).toEqual(['quote.bank']);
  });

  test('quote.digest: a value that was not sent names its PCR', () => {
    const appraisal = appraiseQuote({ ...good, pcrValues: pcrValues(['sha256', [0, 10]]) });
    expect(appraisal).toMatchObject({ ok: false, findings: [{ rule: 'quote.digest', pcr: 1 }] });
  });

  test('quote.digest: bytes moved from one value into its neighbour', () => {
    const bank = new Map(values.get('sha256'));
    const [a, b] = [bank.get(0) ?? NONCE, bank.get(1) ?? NONCE];
    bank.set(0, Uint8Array.of(...a, ...b.subarray(0, 1))).set(1, b.subarray(1));
    expect(rulesOf({ ...good, pcrValues: new Map([['sha256', bank]]) })).toEqual([
      'quote.digest',
      'quote.digest',
    ]);
  });

  test('values of PCRs that were not quoted are not verified values', () => {
    const appraisal = appraiseQuote({ ...good, pcrValues: pcrValues(['sha256', [0, 1, 5, 10]]) });
    expect(appraisal.ok && [...appraisal.quote.pcrs.keys()]).toEqual([0, 1, 10]);
  });

  for (const missing of ['restricted', 'sign', 'fixedTPM', 'fixedParent', 'sensitiveDataOrigin'] as const) {
    test(`ak.attributes: an AK without ${missing}`, () => {
      const objectAttributes = { ...ak.publicArea.objectAttributes, [missing]: false };
      expect(rulesOf({ ...good, akPublic: { ...ak.publicArea, objectAttributes } })).toEqual([
        'ak.attributes',
      ]);
    });
  }

  test('ak.attributes: an AK that decrypts', () => {
    const objectAttributes = { ...ak.publicArea.objectAttributes, ...{ decrypt: true } };
    expect(rulesOf({ ...good, akPublic: { ...ak.publicArea, objectAttributes } })).toEqual(['ak.attributes']);
    expect(tpmaObject('decrypt').decrypt).toBe(true);
  });

  test('every failed check is listed', () => {
    const appraisal = rulesOf({
      ...good,
      nonce: Uint8Array.of(1),
      akPublic: softwareEcc().publicArea,
      selection: { bank: 'sha384', pcrs: [0] },
      pcrValues: pcrValues(['sha256', [0, 1]]),
    });
    expect(new Set(appraisal)).toEqual(
      new Set(['quote.signature', 'quote.nonce', 'quote.bank', 'quote.selection', 'quote.digest']),
    );
  });

  test('bytes.duplicates: the same bank twice', () => {
    const twice = input({ values, select: [...select, ...select] });
    expect(rulesOf(twice)).toEqual(['bytes.duplicates']);
  });

  test('asking for nothing, or without a nonce, is a fault of the caller', () => {
    expect(() => appraiseQuote({ ...good, selection: { bank: 'sha256', pcrs: [] } })).toThrow(RangeError);
    expect(() => appraiseQuote({ ...good, nonce: new Uint8Array() })).toThrow(RangeError);
  });

  function input(
    from: { values: PcrBanks; select: readonly TpmsPcrSelection[] } = { values, select },
  ): QuoteInput {
    return {
      akPublic: ak.publicArea,
      ...signed(ak, attestation(quoteInfo(from.select, from.values))),
      nonce: NONCE,
      pcrValues: from.values,
      selection: { bank: 'sha256', pcrs: [0, 1, 10] },
    };
  }
});

function rulesOf(input: QuoteInput): string[] {
  const appraisal = appraiseQuote(input);
  return appraisal.ok ? [] : appraisal.findings.map(({ rule }) => rule);
}

function inputOf(quote: QuoteVector): QuoteInput {
  return {
    akPublic: parseTpm2bPublic(unhex(quote.akPublic)),
    attest: unhex(quote.attest),
    signature: unhex(quote.signature),
    nonce: unhex(quote.nonce),
    pcrValues: valuesOf(quote),
    selection: quote.asked,
  };
}

function valuesOf({ pcrBlob, pcrs = {} }: QuoteVector): PcrBanks {
  if (pcrBlob !== undefined) return parsePcrBlob(unbase64(pcrBlob)).values;
  const bank = new Map(Object.entries(pcrs.sha256 ?? {}).map(([pcr, value]) => [Number(pcr), unhex(value)]));
  return new Map([['sha256', bank]]);
}

function qualifiedNameOf({ akPublic }: QuoteVector): Uint8Array {
  const [underEk] = loadVectors('names');
  const ek = parseTpm2bPublic(unhex(underEk?.parents[0] ?? ''));
  const parent = qualifiedName(hierarchyName(TPM_RH.ENDORSEMENT), computeName(ek));
  return qualifiedName(parent, computeName(parseTpm2bPublic(unhex(akPublic))));
}

function pcrValues(...banks: readonly (readonly [HashName, readonly number[]])[]): PcrBanks {
  return new Map(
    banks.map(([bank, pcrs]) => [
      bank,
      new Map(pcrs.map((pcr) => [pcr, new Uint8Array(hash(bank, `PCR ${pcr}`, 'buffer'))])),
    ]),
  );
}
