import { readFileSync, statSync } from 'node:fs';
import { AssayError } from '../../core/errors.ts';
import { spiffeIdOf } from '../../core/spiffe/x509-svid.ts';
import { readCertificates, readIdentity, type X509Identity } from './identity.ts';

/** An X509-SVID in PEM files, as spiffe-helper writes them. They may be replaced while we run. */
export interface SvidFiles {
  readonly certificate: string;
  readonly key: string;
  /** Of its trust domain. */
  readonly bundle: string;
}

/** @throws {AssayError} `invalid-config` when a file cannot be read, `malformed` when it is not what it should be */
export function readSvidFiles(files: SvidFiles): X509Identity {
  const chain = readBytes(files.certificate);
  const [leaf] = readCertificates(chain);
  if (!leaf) throw new AssayError('malformed', `${files.certificate} holds no certificate`);
  const bundle = readCertificates(readBytes(files.bundle));
  const bundles = new Map([[spiffeIdOf(leaf).trustDomain, bundle]]);
  return readIdentity(chain, readBytes(files.key), bundles);
}

/** Another text when one of the files is another. */
export function versionOfFiles({ certificate, key, bundle }: SvidFiles): string {
  return [certificate, key, bundle].map((file) => orRefuse(() => statSync(file).mtimeMs)).join();
}

function readBytes(file: string): Uint8Array {
  return orRefuse(() => readFileSync(file));
}

function orRefuse<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AssayError('invalid-config', `cannot read the SVID: ${why}`, { cause });
  }
}
