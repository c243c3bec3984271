import type { KeyObject } from 'node:crypto';
import { fromBase64 } from '../../core/bytes/encoding.ts';
import { ParseError } from '../../core/errors.ts';
import { type Certificate, parseCertificate } from '../../core/x509/certificate.ts';
import { buildPath } from '../../core/x509/path.ts';
import { USAGE } from '../pki/extensions.ts';

/** A key that speaks for a verifier, with the certificate that says so. */
export interface ResultSigner {
  readonly privateKey: KeyObject;
  /** First the signer's, then its issuers, without the anchor. */
  readonly chain: readonly Certificate[];
}

/** Name of a key that signs results and bundles, and is good for nothing else. */
export const RESULTS_URI = 'urn:assay:service:verifier:results';

const MAX_CHAIN = 8;

/** Certificates in base64 DER, as headers carry them. @throws {ParseError} */
export function readChain(chain: readonly string[]): readonly Certificate[] {
  if (chain.length === 0 || chain.length > MAX_CHAIN) {
    throw new ParseError('chain', 0, `has ${chain.length} certificates, 1 to ${MAX_CHAIN} are expected`);
  }
  return chain.map((der, index) => parseCertificate(fromBase64(der, `chain[${index}]`)));
}

/** Why the first certificate of a chain does not speak for a verifier of one of the CAs; undefined when it does. */
export function refuseSigner(
  [signer, ...intermediates]: readonly Certificate[],
  anchors: readonly Certificate[],
  at: Date,
): string | undefined {
  if (!signer) return 'no certificate of its signer came with it';
  const usage = { extKeyUsage: USAGE.DOCUMENT_SIGNING, keyUsage: 'digitalSignature' } as const;
  const path = buildPath({ leaf: signer, intermediates, anchors, at, usage });
  if (!path.ok) {
    return `its signer ${signer.subject.text} is not vouched for: ${path.findings.map(({ message }) => message).join('; ')}`;
  }
  const names = signer.subjectAltName ?? [];
  return names.some((name) => name.type === 'uri' && name.value === RESULTS_URI)
    ? undefined
    : `its signer ${signer.subject.text} is not named ${RESULTS_URI}`;
}
