import { hash } from 'node:crypto';
import { toHex } from '../../core/bytes/encoding.ts';
import { ParseError } from '../../core/errors.ts';
import { type Certificate, parseCertificate } from '../../core/x509/certificate.ts';
import { type CertId, parseOcspRequest } from '../../core/x509/ocsp-request.ts';
import {
  isIssuedBy,
  type OcspFailure,
  type OcspStatus,
  writeOcspFailure,
  writeOcspResponse,
} from '../../core/x509/ocsp-response.ts';
import { type RevokedCertificate, revocationOf, wholeSecond } from '../domain/revocation.ts';
import type { Signer } from '../signer/signer.ts';
import { delegates } from './delegate.ts';

/** Those of the serial numbers that an issuing CA has recorded, by hex. */
export type StatusLookup = (
  authoritySha256: Uint8Array,
  serials: readonly Uint8Array[],
) => Promise<ReadonlyMap<string, RevokedCertificate & { readonly revoked: boolean }>>;

export interface OcspAnswers {
  readonly der: Uint8Array;
  /** What it says, for metrics: of the certificates that were asked for, or why there is no answer. */
  readonly outcomes: readonly (OcspStatus['status'] | OcspFailure)[];
  /** Absent when it must not be kept: a failure, or an answer to one request alone. */
  readonly keep?: { readonly from: Date; readonly until: Date; readonly tag: string };
}

export interface ResponderOptions {
  /** The issuing CAs that sign. */
  readonly signers: Iterable<Signer>;
  readonly lookup: StatusLookup;
  /** How long an answer may be kept. */
  readonly lifetimeMs: number;
  readonly clock: () => Date;
}

/**
 * An OCSP responder (RFC 6960) for all issuing CAs, with a delegated certificate from each. It answers from the records
 * and not from a CRL: `good` is said of a certificate that was recorded, never of a number that is only not revoked.
 *
 * An answer has one signature, and so speaks for one CA: that of the first certificate in the request that is of ours.
 */
export function ocspResponder(options: ResponderOptions): (request: Uint8Array) => Promise<OcspAnswers> {
  const authorities = [...options.signers].map((signer) => ({
    signer,
    certificate: parseCertificate(signer.certificate),
    delegate: delegates(signer, options.clock),
  }));
  return async (bytes) => {
    const request = parsed(bytes);
    if (!request) return failed('malformedRequest');
    const authority = authorities.find(({ certificate }) =>
      request.certIds.some((certId) => isIssuedBy(certId, certificate)),
    );
    if (!authority) return failed('unauthorized');
    const { signer, certificate, delegate } = authority;
    const now = options.clock();
    const statusOf = await statuses(request.certIds, { signer, certificate, now }, options.lookup);
    const answers = request.certIds.map((certId) => ({ certId, status: statusOf(certId) }));
    const from = wholeSecond(now);
    const until = new Date(from.getTime() + options.lifetimeMs);
    const times = { producedAt: from, thisUpdate: from, nextUpdate: until };
    const der = await writeOcspResponse({ ...times, answers, nonce: request.nonce }, await delegate());
    const outcomes = answers.map(({ status }) => status.status);
    if (request.nonce) return { der, outcomes };
    return { der, outcomes, keep: { from, until, tag: hash('sha256', der).slice(0, 32) } };
  };
}

function parsed(bytes: Uint8Array): ReturnType<typeof parseOcspRequest> | undefined {
  try {
    return parseOcspRequest(bytes);
  } catch (error) {
    if (error instanceof ParseError) return undefined;
    throw error;
  }
}

function failed(failure: OcspFailure): OcspAnswers {
  return { der: writeOcspFailure(failure), outcomes: [failure] };
}

interface AskedAuthority {
  readonly signer: Signer;
  readonly certificate: Certificate;
  readonly now: Date;
}

async function statuses(
  certIds: readonly CertId[],
  { signer, certificate, now }: AskedAuthority,
  lookup: StatusLookup,
): Promise<(certId: CertId) => OcspStatus> {
  const ours = new Set(certIds.filter((certId) => isIssuedBy(certId, certificate)));
  const found = await lookup(
    signer.sha256,
    [...ours].map(({ serial }) => serial),
  );
  return (certId) => {
    const row = ours.has(certId) ? found.get(toHex(certId.serial)) : undefined;
    if (!row) return { status: 'unknown' };
    return row.revoked ? { status: 'revoked', ...revocationOf(row, now) } : { status: 'good' };
  };
}
