import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inspectQuote, type QuoteFiles } from '../../../cli/inspect/quote.ts';
import { ParseError } from '../../../core/errors.ts';
import { renderPcrBlob } from '../../../core/messages/keylime/pcr-blob.ts';
import { renderQuoteString } from '../../../core/messages/keylime/quote-string.ts';
import { publicKeyOf, spkiOf } from '../../../core/tpm/key.ts';
import { marshalTpmtPublic, parseTpm2bPublic } from '../../../core/tpm/public.ts';
import { marshalTpmtSignature, parseTpmtSignature } from '../../../core/tpm/signature.ts';
import { derSequence, derUnsigned } from '../../../core/x509/der-writer.ts';
import { loadVectors, type QuoteVector, unbase64, unhex, vector } from '../core/tpm/vectors.ts';
import { assay } from './policy/harness.ts';

const quotes = loadVectors('quote');
const filesOf = (quote: QuoteVector): QuoteFiles => {
  const { attest, signature, akPublic, pcrBlob, nonce } = quote;
  return {
    ...{ attest: unhex(attest), signature: unhex(signature), key: unhex(akPublic), nonce: unhex(nonce) },
    pcrs: pcrBlob === undefined ? blobOf(quote) : unbase64(pcrBlob),
  };
};

/** Values as tpm2_quote would have written them. */
function blobOf({ pcrs = {}, asked: { bank } }: QuoteVector): Uint8Array {
  const values = Object.entries(pcrs[bank] ?? {}).map(([pcr, value]) => [Number(pcr), unhex(value)] as const);
  const selection = { hash: bank, pcrs: values.map(([pcr]) => pcr) };
  return renderPcrBlob([selection], new Map([[bank, new Map(values)]]));
}
/** Rules of the checks that failed. */
const failed = (files: QuoteFiles) =>
  inspectQuote(files).checks.flatMap(({ ok, rules }) => (ok === false ? [rules.join()] : []));
const undecided = (files: QuoteFiles) =>
  inspectQuote(files).checks.flatMap(({ ok, rules }) => (ok === null ? [rules.join()] : []));

/** What the vectors call the failing check, and the checks here; what needs a question or a place is not seen. */
const CHECKS: Readonly<Record<string, string>> = {
  ak_attributes: 'ak.attributes',
  bank: 'quote.bank',
  nonce: 'quote.nonce',
  pcr_digest: 'quote.digest',
  sig_scheme: 'ak.scheme,ak.name,quote.signer',
  signature: 'quote.signature',
  type: 'quote.magic',
};

describe('quotes of TPMs: the failing check is named', () => {
  for (const quote of quotes.filter(({ failingChecks }) => !failingChecks.includes('parse'))) {
    test(`${quote.name}: ${quote.what}`, () => {
      const found = failed(filesOf(quote));
      for (const check of quote.failingChecks) {
        const wanted = CHECKS[check];
        if (wanted !== undefined) expect(found).toContain(wanted);
      }
      if (quote.failingChecks.length === 0) expect(found).toEqual([]);
    });
  }

  test.each(
    quotes.filter(({ failingChecks }) => failingChecks.includes('parse')).map((one) => [one.name, one]),
  )('%s: says in which file, and where', (_name, quote) => {
    expect(() => inspectQuote(filesOf(quote))).toThrow(/^--(attest|signature): \S+ at byte \d+: /);
  });
});

describe('forms of the files', () => {
  const good = filesOf(vector(quotes, 'rsassa-sha256-ok'));
  const ecdsa = filesOf(vector(quotes, 'ecdsa-p256-ok'));
  const text = (value: string) => new Uint8Array(Buffer.from(value));
  const pem = (files: QuoteFiles) =>
    text(String(publicKeyOf(parseTpm2bPublic(files.key)).export({ type: 'spki', format: 'pem' })));
  const sized = (bytes: Uint8Array) => Uint8Array.of(bytes.length >> 8, bytes.length & 255, ...bytes);

  test.each<[string, Partial<QuoteFiles>]>([
    ['TPM2B_ATTEST', { attest: sized(good.attest) }],
    ['hex', { attest: text(Buffer.from(good.attest).toString('hex')) }],
    [
      'base64 with lines',
      {
        pcrs: text(
          Buffer.from(good.pcrs ?? '')
            .toString('base64')
            .replace(/(.{64})/g, '$1\n'),
        ),
      },
    ],
    ['TPMT_PUBLIC', { key: marshalTpmtPublic(parseTpm2bPublic(good.key)) }],
    ['a plain RSA signature', { signature: plainOf(good) }],
  ])('%s', (_form, changes) => {
    expect(failed({ ...good, ...changes })).toEqual([]);
    expect(undecided({ ...good, ...changes })).toEqual([]);
  });

  test('a plain ECDSA signature in DER', () => {
    expect(failed({ ...ecdsa, signature: plainOf(ecdsa) })).toEqual([]);
  });

  test('a key in PEM or DER: its attributes and its scheme are not known, and said to be so', () => {
    for (const files of [good, ecdsa]) {
      for (const key of [pem(files), spkiOf(parseTpm2bPublic(files.key))]) {
        expect(failed({ ...files, key })).toEqual([]);
        expect(undecided({ ...files, key })).toEqual(['ak.attributes', 'ak.scheme,ak.name,quote.signer']);
      }
    }
  });

  test('the quote of a Keylime agent holds all three', () => {
    const { attest, signature = new Uint8Array(), pcrs = new Uint8Array(), key, nonce } = good;
    const quote = text(renderQuoteString({ attest, signature, pcrBlob: pcrs }));
    expect(failed({ attest: quote, key, ...(nonce ? { nonce } : {}) })).toEqual([]);
  });

  test('what a verifier does not come to look at is not said to be so', () => {
    const other = filesOf(vector(quotes, 'ecdsa-p256-ok'));
    const [certify] = loadVectors('certify');
    const attest = unhex(certify?.attest ?? '');
    expect(undecided({ ...good, attest })).toEqual(['quote.bank', 'quote.digest']);
    const none = Uint8Array.from(good.attest).fill(0, 0, 4);
    expect(undecided({ ...good, attest: none })).toEqual(['quote.nonce', 'quote.bank', 'quote.digest']);
    const sha1 = marshalTpmtSignature({ ...parseTpmtSignature(good.signature ?? attest), hash: 'sha1' });
    expect(undecided({ ...good, signature: sha1, key: other.key })).toEqual(['quote.signature']);
    expect(failed({ ...good, signature: sha1 })).toContain('ak.scheme,ak.name,quote.signer');
  });

  test('without nonce and values they are not looked at', () => {
    const { attest, key, signature = new Uint8Array() } = good;
    expect(undecided({ attest, key, signature })).toEqual(['quote.nonce', 'quote.digest']);
  });
});

/** r and s in DER, or the bytes alone. */
function plainOf({ signature = new Uint8Array() }: QuoteFiles): Uint8Array {
  const parsed = parseTpmtSignature(signature);
  if ('sig' in parsed) return parsed.sig;
  return derSequence(derUnsigned(parsed.signatureR), derUnsigned(parsed.signatureS));
}

test('whatever the bytes are, it says what is wrong with them', () => {
  const whole = filesOf(vector(quotes, 'ecdsa-p256-ok'));
  const names = ['attest', 'signature', 'key', 'pcrs'] as const;
  const edit = fc.record({ at: fc.nat(), to: fc.integer({ min: 0, max: 255 }), cut: fc.nat({ max: 300 }) });
  fc.assert(
    fc.property(fc.constantFrom(...names), edit, fc.boolean(), (name, { at, to, cut }, shorten) => {
      const bytes = Uint8Array.from(whole[name] ?? []);
      bytes[at % bytes.length] = to;
      const changed = shorten ? bytes.subarray(0, cut) : bytes;
      try {
        inspectQuote({ ...whole, [name]: changed });
      } catch (error) {
        expect(error).toBeInstanceOf(ParseError);
      }
    }),
    { numRuns: 2000 },
  );
});

describe('assay inspect quote', () => {
  let folder: string;
  const at = (name: string) => join(folder, name);
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'quote-'));
    const files = filesOf(vector(quotes, 'rsassa-sha256-ok'));
    for (const name of ['attest', 'signature', 'key', 'pcrs'] as const) {
      writeFileSync(at(name), files[name] ?? '');
    }
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const options = () => [
    ...['--attest', at('attest'), '--signature', at('signature'), '--key', at('key'), '--pcrs', at('pcrs')],
  ];

  test('exit code 0 when all is so, 1 when something is not, 2 for a broken file', async () => {
    const { nonce } = vector(quotes, 'rsassa-sha256-ok');
    const good = await assay(['inspect', 'quote', ...options(), '--nonce', nonce]);
    expect(good.code).toBe(0);
    expect(good.out).toMatch(/^ok +the signature is of this key/m);
    const bad = await assay(['--json', 'inspect', 'quote', ...options(), '--nonce', '00']);
    expect(bad.code).toBe(1);
    expect(JSON.parse(bad.out).checks).toContainEqual(
      expect.objectContaining({ rules: ['quote.nonce'], ok: false }),
    );
    writeFileSync(at('broken'), 'x');
    const broken = await assay(['inspect', 'quote', ...options(), '--key', at('broken')]);
    expect(broken.code).toBe(2);
    expect(broken.err).toMatch(/^error: --key: /);
  });
});
