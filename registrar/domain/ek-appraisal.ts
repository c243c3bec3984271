import { printable } from '../../core/bytes/encoding.ts';
import { type ErrorDetail, ParseError } from '../../core/errors.ts';
import type { Finding } from '../../core/finding.ts';
import type { Certificate } from '../../core/x509/certificate.ts';
import { appraiseEkCertificate, type EkCertificateAppraisal } from '../../core/x509/ek-profile.ts';
import { parsePemBundle } from '../../core/x509/pem.ts';
import { parseAnchor } from './anchor.ts';
import { type EkCertificateJudgement, nameOf } from './ek-certificate.ts';
import type { MissingIssuer, TrustCheck } from './trust-store.ts';

/** What is trusted, parsed. */
export interface TrustedSet {
  /** Paths end here. */
  readonly anchors: readonly Certificate[];
  /** These only complete paths. */
  readonly intermediates: readonly Certificate[];
}

export function trustedSet(
  rows: readonly { readonly der: Uint8Array; readonly kind: 'root' | 'intermediate' }[],
): TrustedSet {
  const ofKind = (kind: string) => rows.filter((row) => row.kind === kind).map(({ der }) => parseAnchor(der));
  return { anchors: ofKind('root'), intermediates: ofKind('intermediate') };
}

/**
 * Judges the EK certificate that a node sent first, with what it sent behind it as untrusted intermediates.
 *
 * @throws {ParseError} when the first is no certificate
 */
export function appraise(
  trusted: TrustedSet,
  certificates: readonly [Uint8Array, ...Uint8Array[]],
  ekSpki: Uint8Array,
  at: Date,
): EkCertificateJudgement {
  const [first, ...rest] = certificates;
  const certificate = parseAnchor(first);
  const sent = rest.flatMap(readable);
  const appraisal = appraiseEkCertificate({
    certificate,
    chain: [...sent, ...trusted.intermediates],
    anchors: trusted.anchors,
    ekSpki,
    at,
  });
  return {
    certificate: certificate.der,
    name: nameOf(certificate),
    path: appraisal.path.map(({ der }) => der),
    refusals: refusals(appraisal),
    notes: [...appraisal.faults.map(faultNote), ...unreadable(rest.length - sent.length)],
    tpm: appraisal.tpm ?? {},
  };
}

/** The same for a person who holds a certificate and no TPM. @throws {ParseError} unless `pem` holds certificates */
export function checkCertificates(trusted: TrustedSet, pem: string, at: Date): TrustCheck {
  const [first, ...rest] = parsePemBundle(pem);
  if (!first) throw new TypeError('a bundle has at least one certificate');
  const certificate = parseAnchor(first);
  const appraisal = appraiseEkCertificate({
    certificate,
    chain: [...rest.map(parseAnchor), ...trusted.intermediates],
    anchors: trusted.anchors,
    ekSpki: keyOf(certificate),
    at,
  });
  const { ok, path, findings, faults } = appraisal;
  const missingIssuer = missingIn(appraisal);
  return {
    ok,
    path: path.map(({ subject }) => subject.text),
    findings: [...findings],
    faults: [...faults],
    ...(missingIssuer ? { missingIssuer } : {}),
  };
}

function refusals(appraisal: EkCertificateAppraisal): readonly ErrorDetail[] {
  const missing = missingIn(appraisal);
  if (!missing) return appraisal.findings;
  const key = missing.keyId === null ? '' : `, key id ${missing.keyId}`;
  const from = missing.urls.length === 0 ? '' : `, which may be at ${missing.urls.join(' or ')}`;
  const message = `if that manufacturer is to be trusted: get the certificate of ${missing.subject}${key}${from}, then run: assay trust add FILE`;
  return [...appraisal.findings, { rule: 'ek.chain', message }];
}

function missingIn({ missingIssuer }: EkCertificateAppraisal): MissingIssuer | undefined {
  if (!missingIssuer) return undefined;
  const { subject, aki = null, aiaUrls } = missingIssuer;
  return { subject, keyId: aki, urls: aiaUrls.map((url) => printable(url)) };
}

function faultNote(fault: EkCertificateAppraisal['faults'][number]): Finding {
  return {
    rule: 'ek.profile',
    message: `the EK certificate or its chain has a known fault: ${fault}`,
  };
}

function unreadable(count: number): readonly Finding[] {
  if (count === 0) return [];
  return [
    { rule: 'ek.chain', message: `${count} of the certificates beside the EK certificate are unreadable` },
  ];
}

// NV indices hold all sorts of things beside the EK certificate; what cannot be read completes no path.
function readable(der: Uint8Array): Certificate[] {
  try {
    return [parseAnchor(der)];
  } catch (error) {
    if (error instanceof ParseError) return [];
    throw error;
  }
}

// Without a key that can be read there is a finding anyway.
function keyOf(certificate: Certificate): Uint8Array {
  try {
    return new Uint8Array(certificate.publicKey.export({ type: 'spki', format: 'der' }));
  } catch (error) {
    if (error instanceof ParseError) return new Uint8Array();
    throw error;
  }
}
