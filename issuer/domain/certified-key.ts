import { fromBase64 } from '../../core/bytes/encoding.ts';
import { AssayError } from '../../core/errors.ts';
import type { Finding } from '../../core/finding.ts';
import type { CertifiedKey } from '../../core/messages/issue.ts';
import { appraiseCertify } from '../../core/tpm/certify.ts';
import { spkiOf } from '../../core/tpm/key.ts';
import { parseTpm2bPublic, type TpmtPublic } from '../../core/tpm/public.ts';

/**
 * The public key of a node CA that the node's own AK has certified over our nonce (rule `issue.tpm`). Does not say
 * that the nonce is unspent: that is for the transaction that records the certificate.
 *
 * @returns DER of the key's SubjectPublicKeyInfo
 * @throws {ParseError} for bytes that are not TPM structures
 * @throws {AssayError} `identity-refused` with every check that failed
 */
export function verifyCertifiedKey(request: CertifiedKey, akPublic: Uint8Array): Uint8Array {
  const objectPublic = parseTpm2bPublic(fromBase64(request.publicArea, 'publicArea'));
  const appraisal = appraiseCertify({
    akPublic: parseTpm2bPublic(akPublic),
    attest: fromBase64(request.attest, 'attest'),
    signature: fromBase64(request.signature, 'signature'),
    nonce: fromBase64(request.nonce, 'nonce'),
    objectPublic,
  });
  const findings = [...(appraisal.ok ? [] : appraisal.findings), ...checkCurve(objectPublic)];
  if (!appraisal.ok || findings.length > 0) {
    throw new AssayError('identity-refused', "the node CA key is not certified by this node's AK as one", {
      details: findings,
    });
  }
  return spkiOf(appraisal.certified.publicArea);
}

// Seen here, before anything is recorded; the certificate's profile allows nothing else.
function checkCurve(publicArea: TpmtPublic): readonly Finding[] {
  if (publicArea.type === 'ecc' && publicArea.curve === 'p256') return [];
  return [{ rule: 'issue.profile', message: 'the node CA key is not on P-256' }];
}
