import { readFile } from 'node:fs/promises';
import { AssayError } from '../../core/errors.ts';
import { type Certificate, parseCertificate } from '../../core/x509/certificate.ts';
import { parsePem, renderPem } from '../../core/x509/pem.ts';
import type { KeyedCertificate } from '../../platform/pki/certify.ts';
import { readKeyFile, writeKeyFile, writePrivateFile } from '../../platform/pki/key-file.ts';
import { type SigningCa, signingCa } from '../../platform/pki/keys.ts';
import type { KeyedFiles } from './layout.ts';

export interface WriteOptions {
  readonly passphrase?: string | undefined;
  /** Certificates that go along, such as the service CA's behind a server's. */
  readonly chain?: readonly Certificate[];
}

/** Writes the key first: a certificate that stands there always has its key. */
export async function writeKeyed(
  files: KeyedFiles,
  { certificate, privateKey }: KeyedCertificate,
  { passphrase, chain = [] }: WriteOptions = {},
): Promise<void> {
  await writeKeyFile(files.key, privateKey, passphrase === undefined ? {} : { passphrase });
  await writePrivateFile(files.certificate, [certificate, ...chain].map(pemOf).join(''));
}

export function pemOf({ der }: Pick<Certificate, 'der'>): string {
  return renderPem('CERTIFICATE', der);
}

/** A CA of an installation. @throws {AssayError} `invalid-config` when it cannot be used */
export async function readCa(files: KeyedFiles, passphrase: string | undefined): Promise<SigningCa> {
  const certificate = await readCertificate(files.certificate);
  const key = await readKeyFile(files.key, passphrase === undefined ? {} : { passphrase });
  try {
    return signingCa(certificate, key);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new AssayError('invalid-config', `${files.key} is not the key of ${files.certificate}`, { cause });
  }
}

/** The first certificate of a PEM file. @throws {AssayError} `invalid-config` */
export async function readCertificate(file: string): Promise<Certificate> {
  try {
    return parseCertificate(parsePem('CERTIFICATE', await readFile(file, 'utf8')));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AssayError('invalid-config', `cannot read the certificate ${file}: ${why}`, { cause });
  }
}
