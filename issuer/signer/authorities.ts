import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AssayError } from '../../core/errors.ts';
import { type Certificate, parseCertificate } from '../../core/x509/certificate.ts';
import { checkPath } from '../../core/x509/path-rules.ts';
import { parsePem } from '../../core/x509/pem.ts';
import { verifySignature } from '../../core/x509/signature.ts';
import { readKeyFile } from '../../platform/pki/key-file.ts';
import type { NameSpaces } from './check-issued.ts';
import { fileSigner } from './file-signer.ts';
import type { Signer } from './signer.ts';

/** The node PKI as the issuer knows it: certificates, and keys that it may use. */
export interface Authorities {
  /** DER of the node root's certificate; its key is not here. */
  readonly root: Uint8Array;
  /** The issuing CA of each node group. */
  readonly groups: ReadonlyMap<string, Signer>;
  /** @throws {AssayError} `conflict` for a group without an issuing CA */
  signerOf(group: string): Signer;
}

export interface AuthorityFiles extends NameSpaces {
  readonly pkiDirectory: string;
  readonly groups: readonly string[];
  readonly passphrase?: string;
  readonly now: Date;
}

/**
 * Opens node-root.crt and, for each group, issuing-GROUP.crt and its key.
 *
 * @throws {AssayError} `invalid-config` that names the file: missing, expired, not signed by the root, no CA for node
 *   CAs, another key than the certificate's, or a key that others can read (rule `key.files`)
 */
export async function openAuthorities(files: AuthorityFiles): Promise<Authorities> {
  const root = await readCertificate(join(files.pkiDirectory, 'node-root.crt'));
  const groups = new Map<string, Signer>();
  for (const group of files.groups) groups.set(group, await openIssuingCa(files, root, group));
  return {
    root: root.der,
    groups,
    signerOf(group) {
      const signer = groups.get(group);
      if (signer) return signer;
      throw new AssayError('conflict', `this issuer has no issuing CA for the group "${group}"`);
    },
  };
}

async function openIssuingCa(files: AuthorityFiles, root: Certificate, group: string): Promise<Signer> {
  const base = join(files.pkiDirectory, `issuing-${group}`);
  const certificate = await readCertificate(`${base}.crt`);
  checkIssuingCa(`${base}.crt`, certificate, root, files.now);
  const { passphrase } = files;
  const key = await readKeyFile(`${base}.key`, passphrase === undefined ? {} : { passphrase });
  try {
    return fileSigner(certificate, key, files);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw unfit(`${base}.key`, `it is not the key of ${base}.crt`, cause);
  }
}

function checkIssuingCa(file: string, certificate: Certificate, root: Certificate, now: Date): void {
  if (verifySignature(certificate, root) !== 'good') throw unfit(file, 'it is not signed by the node root');
  const [problem] = checkPath([certificate, root], now);
  if (problem) throw unfit(file, problem.message);
  const { basicConstraints, keyUsage, subjectKeyId } = certificate;
  const fits = basicConstraints?.ca === true && basicConstraints.pathLen === 1 && subjectKeyId !== undefined;
  if (!fits || !keyUsage?.has('keyCertSign') || !keyUsage.has('cRLSign')) {
    throw unfit(file, 'it is no CA with path length 1 that may sign certificates and CRLs');
  }
}

async function readCertificate(file: string): Promise<Certificate> {
  try {
    return parseCertificate(parsePem('CERTIFICATE', await readFile(file, 'utf8')));
  } catch (cause) {
    throw unfit(file, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function unfit(file: string, problem: string, cause?: unknown): AssayError {
  const message = `the issuer cannot use ${file}: ${problem}; "assay init" makes it`;
  return new AssayError('invalid-config', message, { cause });
}
