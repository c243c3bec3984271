import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AssayError, ParseError } from '../../core/errors.ts';
import type { Finding } from '../../core/finding.ts';
import { type Certificate, isSelfIssued, parseCertificate } from '../../core/x509/certificate.ts';
import {
  appraiseEkCertificate,
  type EkCertificateAppraisal,
  type TpmIdentity,
} from '../../core/x509/ek-profile.ts';
import { parsePemBundle } from '../../core/x509/pem.ts';

// Beside the bundle, or in a checkout: the manufacturers' roots that a registrar starts with.
const SHIPPED =
  ['./trust-roots', '../../registrar/trust-roots']
    .map((place) => fileURLToPath(new URL(place, import.meta.url)))
    .find((directory) => existsSync(directory)) ?? 'trust-roots';

export interface InspectedEk {
  readonly key: string;
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly extKeyUsage: readonly string[];
  readonly tpm: TpmIdentity | null;
  /** Subjects, from the certificate to the anchor; empty when there is no path. */
  readonly path: readonly string[];
  readonly ok: boolean;
  readonly findings: readonly Finding[];
  /** What is missing to a path, and where it may be had. */
  readonly missingIssuer: {
    readonly subject: string;
    readonly keyId: string | null;
    readonly urls: readonly string[];
  } | null;
  /** Known encoding faults that were tolerated. */
  readonly faults: EkCertificateAppraisal['faults'];
}

/**
 * Judges an EK certificate as a registrar would, but for the key: whether a node has it is not in a file.
 *
 * @param file certificates in PEM or DER; those behind the first may complete its path, and are not trusted
 * @throws {ParseError} for anything but certificates
 */
export function inspectEk(file: Uint8Array, trusted: readonly Certificate[], at: Date): InspectedEk {
  const [first, ...rest] = parsePemBundle(file);
  if (!first) throw new ParseError('certificates', 0, 'holds no certificate');
  const certificate = parseLenient(first);
  const appraisal = appraiseEkCertificate({
    certificate,
    chain: [...rest.map(parseLenient), ...trusted.filter((one) => !isSelfIssued(one))],
    anchors: trusted.filter(isSelfIssued),
    ekSpki: keyOf(certificate) ?? new Uint8Array(),
    at,
  });
  const { missingIssuer } = appraisal;
  return {
    key: describeKey(certificate),
    subject: certificate.subject.text || '(empty)',
    issuer: certificate.issuer.text,
    serial: certificate.serialHex,
    notBefore: certificate.notBefore.toISOString(),
    notAfter: certificate.notAfter.toISOString(),
    extKeyUsage: certificate.extKeyUsage ?? [],
    tpm: appraisal.tpm ?? null,
    path: appraisal.path.map(({ subject }) => subject.text || '(empty)'),
    ...{ ok: appraisal.ok, findings: appraisal.findings, faults: appraisal.faults },
    missingIssuer: missingIssuer
      ? { subject: missingIssuer.subject, keyId: missingIssuer.aki ?? null, urls: missingIssuer.aiaUrls }
      : null,
  };
}

/** The roots that ship, and those of a directory of PEM and DER files. @throws {AssayError} that names a file that is none */
export async function trustedRoots(directory: string | undefined): Promise<readonly Certificate[]> {
  const own = directory === undefined ? [] : await readDirectory(directory);
  return [...(await readDirectory(SHIPPED)), ...own];
}

async function readDirectory(directory: string): Promise<readonly Certificate[]> {
  const names = await readdir(directory).catch((cause: unknown) => {
    throw new AssayError('invalid-request', `cannot read the directory ${directory}`, { cause });
  });
  const files = names.filter((name) => /\.(pem|crt|cer|der)$/i.test(name)).sort();
  const all = await Promise.all(files.map((name) => readCertificates(join(directory, name))));
  return all.flat();
}

async function readCertificates(file: string): Promise<readonly Certificate[]> {
  try {
    return parsePemBundle(new Uint8Array(await readFile(file))).map(parseLenient);
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    throw new AssayError('malformed', `${file}: ${error.message}`);
  }
}

/** Manufacturers are known for some encoding faults. */
function parseLenient(der: Uint8Array): Certificate {
  return parseCertificate(der, { mode: 'lenient' });
}

function describeKey(certificate: Certificate): string {
  const key = publicKeyOf(certificate);
  const { modulusLength, namedCurve } = key?.asymmetricKeyDetails ?? {};
  if (modulusLength !== undefined) return `RSA ${modulusLength}`;
  return namedCurve === undefined ? 'cannot be read' : `ECC ${namedCurve}`;
}

function keyOf(certificate: Certificate): Uint8Array | undefined {
  const key = publicKeyOf(certificate);
  return key && new Uint8Array(key.export({ type: 'spki', format: 'der' }));
}

function publicKeyOf(certificate: Certificate) {
  try {
    return certificate.publicKey;
  } catch (error) {
    if (error instanceof ParseError) return undefined;
    throw error;
  }
}
