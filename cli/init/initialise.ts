import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AssayError } from '../../core/errors.ts';
import { pinOf } from '../../core/x509/spki.ts';
import type { KeyedCertificate } from '../../platform/pki/certify.ts';
import { writeKeyFile, writePrivateFile } from '../../platform/pki/key-file.ts';
import { randomSerial } from '../../platform/pki/keys.ts';
import { createNodeRoot } from '../../platform/pki/node-ca.ts';
import { createServiceCa, issueClientCertificate } from '../../platform/pki/service-ca.ts';
import { type ConfigInput, renderClientProfile, renderConfig } from './config-text.ts';
import { checkDomain, checkGroups, hostNames } from './input.ts';
import { pemOf, writeKeyed } from './keyed-files.ts';
import { type Layout, layoutOf } from './layout.ts';
import {
  LIFETIME_DAYS,
  makeIssuingCa,
  makeResultsCertificate,
  makeServerCertificate,
  SERVICES,
  validFor,
} from './make.ts';

export interface InitialiseOptions extends ConfigInput {
  readonly directory: string;
  /** Encrypts the keys of all CAs; the issuer then needs it at each start. */
  readonly passphrase?: string;
  /** Where the node root's key goes, instead of pki/: a medium that is taken away afterwards. */
  readonly rootKeyFile?: string;
  readonly clock: () => Date;
  readonly random: (size: number) => Uint8Array;
}

export interface InitialiseSummary {
  readonly directory: string;
  readonly config: string;
  readonly clientProfile: string;
  readonly nodeRoot: string;
  /** To be taken offline: only a new group needs it. */
  readonly rootKey: string;
  readonly serviceCa: string;
  /** `sha256:` and the hash of the service CA's key: what nodes pin. */
  readonly serviceCaPin: string;
  readonly issuingCas: Readonly<Record<string, string>>;
}

/**
 * Makes an installation: both PKIs, an admin's credential and the configuration. All files are 0600 and all
 * directories 0700.
 *
 * @throws {AssayError} `conflict` when there is one already, also an unfinished one: nothing is ever overwritten
 */
export async function initialise(options: InitialiseOptions): Promise<InitialiseSummary> {
  const { trustDomain, nodesDomain, groups, hosts } = options;
  checkDomain('the trust domain', trustDomain);
  checkDomain('the nodes domain', nodesDomain);
  checkGroups(groups);
  hostNames(hosts);
  const layout = layoutOf(resolve(options.directory));
  const rootKey = resolve(options.rootKeyFile ?? layout.nodeRoot.key);
  refuseExisting(layout, rootKey);
  await makeDirectories(layout);
  const serviceCa = await makeServicePki(layout, options);
  await makeNodePki(layout, rootKey, options);
  // The last file: without it an installation is unfinished.
  await writePrivateFile(layout.config, renderConfig(options));
  return {
    directory: layout.directory,
    config: layout.config,
    clientProfile: layout.clientProfile,
    nodeRoot: layout.nodeRoot.certificate,
    rootKey,
    serviceCa: layout.serviceCa.certificate,
    serviceCaPin: pinOf(serviceCa.certificate),
    issuingCas: Object.fromEntries(groups.map((group) => [group, layout.issuing(group).certificate])),
  };
}

function refuseExisting(layout: Layout, rootKey: string): void {
  const found = [layout.config, layout.pki, layout.admin, rootKey].find((path) => existsSync(path));
  if (found === undefined) return;
  const message = existsSync(layout.config)
    ? `there is an installation in ${layout.directory} already; choose another directory`
    : `${found} exists already, perhaps from an init that was interrupted; move it away or choose another directory`;
  throw new AssayError('conflict', message);
}

async function makeDirectories({ directory, pki, admin }: Layout): Promise<void> {
  // A directory that was made for us, such as /etc/assay, keeps its mode; what we put into it is private.
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const own of [pki, admin]) {
    // Not recursive: of two that start at once, one fails here.
    await mkdir(own, { mode: 0o700 });
  }
}

async function makeServicePki(layout: Layout, options: InitialiseOptions): Promise<KeyedCertificate> {
  const { passphrase, random } = options;
  const now = options.clock();
  const ca = await createServiceCa({
    commonName: 'assay service CA',
    ...validFor(LIFETIME_DAYS.serviceCa, now),
  });
  const chain = [ca.certificate];
  await writeKeyed(layout.serviceCa, ca, { passphrase });
  for (const service of SERVICES) {
    const made = await makeServerCertificate(ca, service, hostNames(options.hosts), { now, random });
    await writeKeyed(layout.service(service), made, { chain });
  }
  await writeKeyed(layout.results, await makeResultsCertificate(ca, { now, random }));
  const admin = await issueClientCertificate({
    ca,
    commonName: 'admin',
    roleUri: 'urn:assay:role:admin',
    serial: randomSerial(random),
    ...validFor(LIFETIME_DAYS.admin, now),
  });
  await writeKeyed(layout.adminCredential, admin);
  await writePrivateFile(layout.adminCa, pemOf(ca.certificate));
  await writePrivateFile(layout.clientProfile, renderClientProfile(options.hosts));
  return ca;
}

async function makeNodePki(layout: Layout, rootKey: string, options: InitialiseOptions): Promise<void> {
  const { passphrase } = options;
  const now = options.clock();
  const commonName = `assay node root ${options.trustDomain}`.slice(0, 64);
  const root = await createNodeRoot({ commonName, ...validFor(LIFETIME_DAYS.nodeRoot, now) });
  await writeKeyFile(rootKey, root.privateKey, passphrase === undefined ? {} : { passphrase });
  await writePrivateFile(layout.nodeRoot.certificate, pemOf(root.certificate));
  for (const group of options.groups) {
    await writeKeyed(layout.issuing(group), await makeIssuingCa(root, group, now), { passphrase });
  }
}
