import type { RevocationReason } from '../signer/signer.ts';

/** What the view certificate_status says of a certificate that is revoked. */
export interface RevokedCertificate {
  readonly serial: Uint8Array;
  readonly revokedAt: Date | null;
  readonly reason: 'failed' | 'banned' | 'retired' | null;
}

/** CRLReason (RFC 5280, 5.3.1): a node that failed may have lost its key; a ban is a person's or a policy's decision. */
const REASONS: Readonly<Record<NonNullable<RevokedCertificate['reason']>, RevocationReason>> = {
  failed: 'keyCompromise',
  banned: 'privilegeWithdrawn',
  retired: 'cessationOfOperation',
};

/** The same in the words of CRLs and OCSP. */
export function revocationOf(
  { revokedAt, reason }: Omit<RevokedCertificate, 'serial'>,
  now: Date,
): { readonly revokedAt: Date; readonly reason: RevocationReason } {
  return { revokedAt: wholeSecond(revokedAt ?? now), reason: REASONS[reason ?? 'failed'] };
}

/** Times in a CRL or an OCSP answer have no fractions. */
export function wholeSecond(time: Date): Date {
  return new Date(Math.floor(time.getTime() / 1000) * 1000);
}
