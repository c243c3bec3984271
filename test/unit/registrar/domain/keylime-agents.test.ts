import { readFileSync } from 'node:fs';
import { Value } from 'typebox/value';
import { describe, expect, test } from 'vitest';
import { fromHex } from '../../../../core/bytes/encoding.ts';
import { AssayError } from '../../../../core/errors.ts';
import { Envelope, QuoteResults, RegistrationRequest } from '../../../../core/messages/keylime/messages.ts';
import { parsePcrBlob } from '../../../../core/messages/keylime/pcr-blob.ts';
import { parseQuoteString } from '../../../../core/messages/keylime/quote-string.ts';
import {
  makeCredential,
  parseCredentialBlob,
  renderCredentialBlob,
} from '../../../../core/tpm/credential.ts';
import { computeName } from '../../../../core/tpm/name.ts';
import { parseTpm2bPublic } from '../../../../core/tpm/public.ts';
import { appraiseQuote } from '../../../../core/tpm/quote.ts';
import { parseCertificate } from '../../../../core/x509/certificate.ts';
import { parsePemBundle } from '../../../../core/x509/pem.ts';
import { channelNotes, checkChannelKept } from '../../../../registrar/domain/channel.ts';
import { examineIdentity } from '../../../../registrar/domain/identity.ts';
import { keylimeClaim } from '../../../../registrar/domain/keylime-claim.ts';

interface Recorded {
  /** Keylime's names: encryption, signature and hash algorithm of the configuration. */
  readonly name: string;
  readonly path: string;
  readonly registration: RegistrationRequest;
  /** A credential that the agent's TPM opened. */
  readonly blob: string;
  readonly query: string;
  readonly answer: { readonly code: number; readonly status: string; readonly results: QuoteResults };
}

// What stock Rust agents (0.2.9) on software TPMs sent, with each set of algorithms that they run with.
const file = new URL('../../../vectors/keylime/agents.json', import.meta.url);
const RECORDED: readonly Recorded[] = JSON.parse(readFileSync(file, 'utf8'));
/** Those that are refused when they register, and what their quotes would be refused for. */
const REFUSED: Readonly<
  Record<string, { readonly registration: readonly string[]; readonly quote: readonly string[] }>
> = {
  'ecc256-ecschnorr-sha256': { registration: ['ak.scheme'], quote: ['bytes.known'] },
  'rsa-rsassa-sha1': { registration: ['ak.scheme', 'ak.name'], quote: ['quote.signer', 'quote.bank'] },
};

describe.each(RECORDED)('a stock agent with $name', ({ name, path, registration, blob, query, answer }) => {
  const alias = path.split('/').at(-1) ?? '';
  const claim = keylimeClaim(alias, '2.6', registration);
  const ek = parseTpm2bPublic(claim.ekPublic);
  const akPublic = parseTpm2bPublic(claim.akPublic);
  const refused = REFUSED[name] ?? { registration: [], quote: [] };

  test(refused.registration.length === 0 ? 'registers' : `is refused: ${refused.registration}`, () => {
    expect(Value.Check(RegistrationRequest, registration)).toBe(true);
    for (const bytes of claim.ekCertificates) parseCertificate(bytes, { mode: 'lenient' });
    // The path of the certificate is not what is asked here.
    const examine = () => examineIdentity({ ...claim, ekCertificates: [] }, () => expect.fail());
    if (refused.registration.length === 0)
      expect(examine()).toMatchObject({ alias, akName: computeName(akPublic) });
    else expect(rulesIn(examine)).toEqual(refused.registration);
  });

  test('gets a credential of the form that its TPM opened', () => {
    const opened = fromHex(blob, 'blob');
    expect(renderCredentialBlob(parseCredentialBlob(opened))).toEqual(opened);
    const objectName = computeName(akPublic);
    const ours = makeCredential({ ek, objectName, secret: new Uint8Array(32), randomBytes: ones });
    expect(renderCredentialBlob(ours).subarray(0, 8)).toEqual(opened.subarray(0, 8));
    expect(ours.encryptedSecret.length).toBe(parseCredentialBlob(opened).encryptedSecret.length);
  });

  test('quotes what was asked, with the key that it registered', () => {
    expect(Value.Check(Envelope(QuoteResults), answer)).toBe(true);
    const { attest, signature, pcrBlob } = parseQuoteString(answer.results.quote);
    const { values, selections } = parsePcrBlob(pcrBlob);
    expect(query).toBe('nonce=abc&mask=0x400&partial=1');
    const appraisal = appraiseQuote({
      ...{ akPublic, attest, signature },
      nonce: Buffer.from('abc'),
      pcrValues: values,
      selection: { bank: selections[0]?.hash ?? 'sha256', pcrs: [10, 16] },
    });
    const rules = appraisal.ok ? [] : [...new Set(appraisal.findings.map(({ rule }) => rule))];
    expect(rules).toEqual(refused.quote);
  });
});

describe('what a registration says beside its keys', () => {
  const [stock] = RECORDED;
  if (!stock) throw new Error('nothing was recorded');
  const { registration } = stock;
  const claimed = (changes: Partial<RegistrationRequest>) =>
    keylimeClaim('node', '2.6', { ...registration, ...changes });

  test('an address must be there', () => {
    expect(() => claimed({ ip: null })).toThrow('ip and port');
    expect(() => claimed({ port: null })).toThrow('ip and port');
  });

  test('mtls_cert is one certificate, or none is said', () => {
    const { mtls_cert: pem } = registration;
    expect(claimed({}).tlsCertificate).toHaveLength(claim().byteLength);
    expect(claimed({ mtls_cert: 'disabled' }).tlsCertificate).toBeNull();
    expect(claimed({ mtls_cert: '' }).tlsCertificate).toBeNull();
    const other = RECORDED.find((one) => one.registration.ekcert !== '')?.registration.ekcert;
    expect(() => claimed({ mtls_cert: `${pem}${other}` })).toThrow('mtls_cert must be one certificate');
  });

  test('quote.channel: it is noted that quotes do not bind its TLS key, where it has one', () => {
    const rules = (...of: Parameters<typeof channelNotes>) => channelNotes(...of).map(({ rule }) => rule);
    expect(rules(claimed({}), 'keylime')).toEqual(['quote.channel']);
    expect(rules(claimed({}), 'assay')).toEqual([]);
    expect(rules(claimed({ mtls_cert: 'disabled' }), 'keylime')).toEqual([]);
  });

  test('quote.channel: a node of ours does not become a stock agent by itself', () => {
    const ours = { admission: 'admitted', protocol: 'assay' } as const;
    expect(rulesIn(() => checkChannelKept(ours, 'keylime'))).toEqual(['quote.channel']);
    expect(rulesIn(() => checkChannelKept(ours, 'assay'))).toEqual([]);
    expect(rulesIn(() => checkChannelKept({ ...ours, admission: 'retired' }, 'keylime'))).toEqual([]);
    expect(rulesIn(() => checkChannelKept({ ...ours, protocol: 'keylime' }, 'keylime'))).toEqual([]);
  });

  function claim(): Uint8Array {
    return parsePemBundle(registration.mtls_cert ?? '')[0] ?? new Uint8Array();
  }
});

function ones(length: number): Uint8Array {
  return new Uint8Array(length).fill(1);
}

function rulesIn(work: () => unknown): readonly (string | undefined)[] {
  try {
    work();
  } catch (error) {
    if (error instanceof AssayError) return error.details.map(({ rule }) => rule);
    throw error;
  }
  return [];
}
