import { parsePcrBlob } from '../../../core/messages/keylime/pcr-blob.ts';
import { parseQuoteString, renderQuoteString } from '../../../core/messages/keylime/quote-string.ts';
import { marshalTpmsAttest, parseTpmsAttest } from '../../../core/tpm/attest.ts';
import { parseCredentialBlob, renderCredentialBlob } from '../../../core/tpm/credential.ts';
import { marshalTpm2bPublic, parseTpm2bPublic } from '../../../core/tpm/public.ts';
import { marshalTpmtSignature, parseTpmtSignature } from '../../../core/tpm/signature.ts';
import { bytesOf, same, target, textOf, vectorFile, vectorJson } from './target.ts';

const BLOB = { idObject: new Uint8Array(34), encryptedSecret: new Uint8Array(256) };

/** One part of each quote that TPMs made. */
function quotes(part: 'attest' | 'akPublic' | 'signature'): readonly Uint8Array[] {
  const all = vectorJson<readonly Readonly<Record<typeof part, string>>[]>('tpm/quote.json');
  return all.map((quote) => new Uint8Array(Buffer.from(quote[part], 'hex')));
}

function quoteString(): Uint8Array {
  const part = (name: string) => vectorFile(`evidence/direct-clean-1/quote.${name}`);
  return bytesOf(renderQuoteString({ attest: part('msg'), signature: part('sig'), pcrBlob: part('pcrs') }));
}

export const TPM_TARGETS = [
  target('tpms-attest', () => quotes('attest'), same(parseTpmsAttest, marshalTpmsAttest)),
  target('tpm2b-public', () => quotes('akPublic'), same(parseTpm2bPublic, marshalTpm2bPublic)),
  target('tpmt-signature', () => quotes('signature'), same(parseTpmtSignature, marshalTpmtSignature)),
  target('pcr-blob', () => [vectorFile('evidence/sb-clean-1/quote_all.pcrs')], parsePcrBlob),
  target(
    'credential-blob',
    () => [renderCredentialBlob(BLOB)],
    same(parseCredentialBlob, renderCredentialBlob),
  ),
  target(
    'quote-string',
    () => [quoteString()],
    (bytes) => parseQuoteString(textOf(bytes)),
  ),
];
