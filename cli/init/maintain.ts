import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { AssayError } from '../../core/errors.ts';
import { verifySignature } from '../../core/x509/signature.ts';
import type { ServiceName } from '../api.ts';
import { checkGroups, type HostNames, hostNames } from './input.ts';
import { readCa, readCertificate, writeKeyed } from './keyed-files.ts';
import { layoutOf } from './layout.ts';
import { makeIssuingCa, makeResultsCertificate, makeServerCertificate, SERVICES } from './make.ts';

export interface AddGroupOptions {
  readonly directory: string;
  /** NAME, or NAME.full for a CA of its nodes of the full tier alone. */
  readonly group: string;
  /** Where the node root's key is, when it is not in pki/. */
  readonly rootKeyFile?: string;
  /** Opens the root's key. */
  readonly passphrase?: string;
  /** Encrypts the new key; the issuer has one passphrase for all. Default: the same. */
  readonly issuingPassphrase?: string;
  readonly clock: () => Date;
}

/**
 * Makes one more issuing CA. assay.yaml must then name it: the group in issuer.groups, or its `full-tier-ca`.
 *
 * @returns the path of its certificate
 * @throws {AssayError} `conflict` when the group has one; `invalid-config` when the root's key is not there or not fit
 */
export async function addGroup(options: AddGroupOptions): Promise<string> {
  checkGroups([options.group.replace(/\.full$/, '')]);
  const layout = layoutOf(resolve(options.directory));
  const files = layout.issuing(options.group);
  for (const file of [files.certificate, files.key]) {
    if (existsSync(file)) throw new AssayError('conflict', `${file} exists already`);
  }
  const key = options.rootKeyFile === undefined ? layout.nodeRoot.key : resolve(options.rootKeyFile);
  const root = await readCa({ ...layout.nodeRoot, key }, options.passphrase);
  const passphrase = options.issuingPassphrase ?? options.passphrase;
  await writeKeyed(files, await makeIssuingCa(root, options.group, options.clock()), { passphrase });
  return files.certificate;
}

export interface RenewOptions {
  readonly directory: string;
  /** New names of the services; default: those of the certificates that are there. */
  readonly hosts?: readonly string[];
  /** Opens the service CA's key. */
  readonly passphrase?: string;
  readonly clock: () => Date;
  readonly random: (size: number) => Uint8Array;
}

export interface RenewedCertificate {
  readonly service: ServiceName | 'verifier results';
  readonly certificate: string;
  readonly notAfter: Date;
}

/**
 * Makes new server certificates, and one for results, with new keys from the same service CA, so that every pin stays
 * right. The services read them when they start again.
 *
 * @throws {AssayError} `invalid-config` when the service CA's key is not there or not fit
 */
export async function renewServerCertificates(options: RenewOptions): Promise<readonly RenewedCertificate[]> {
  const layout = layoutOf(resolve(options.directory));
  const ca = await readCa(layout.serviceCa, options.passphrase);
  const renewed: RenewedCertificate[] = [];
  const now = options.clock();
  const { random } = options;
  for (const service of SERVICES) {
    const files = layout.service(service);
    const names = options.hosts ? hostNames(options.hosts) : await namesOf(files.certificate, ca);
    const made = await makeServerCertificate(ca, service, names, { now, random });
    await writeKeyed(files, made, { chain: [ca.certificate] });
    renewed.push({ service, certificate: files.certificate, notAfter: made.certificate.notAfter });
  }
  const results = await makeResultsCertificate(ca, { now, random });
  await writeKeyed(layout.results, results);
  const { notAfter } = results.certificate;
  return [...renewed, { service: 'verifier results', certificate: layout.results.certificate, notAfter }];
}

async function namesOf(file: string, ca: Awaited<ReturnType<typeof readCa>>): Promise<HostNames> {
  const certificate = await readCertificate(file);
  if (verifySignature(certificate, ca.certificate) !== 'good') {
    throw new AssayError('invalid-config', `${file} is not of this service CA; name the hosts`);
  }
  const hosts = (certificate.subjectAltName ?? []).flatMap((name) => {
    if (name.type === 'dns') return [name.value];
    return name.type === 'ip' ? [addressOf(name.value)] : [];
  });
  return hostNames(hosts);
}

/** The address of 4 or 16 bytes as text. */
function addressOf(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((bytes[2 * index] ?? 0) << 8) | (bytes[2 * index + 1] ?? 0)).toString(16),
  );
  // One spelling, so that no address is named twice.
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}
