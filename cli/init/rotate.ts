import { existsSync, readdirSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AssayError } from '../../core/errors.ts';
import type { Certificate } from '../../core/x509/certificate.ts';
import { ATTRIBUTE, onlyAttribute } from '../../core/x509/name.ts';
import { verifySignature } from '../../core/x509/signature.ts';
import { createNodeRoot } from '../../platform/pki/node-ca.ts';
import { readCa, readCertificate, writeKeyed } from './keyed-files.ts';
import { type KeyedFiles, type Layout, layoutOf } from './layout.ts';
import { LIFETIME_DAYS, makeIssuingCa, validFor } from './make.ts';

/** `root`, the name of a group, or GROUP.full: the CA of its nodes of the full tier. */
export type AuthorityName = string;

const STATES = { next: '.next', current: '', previous: '.previous' } as const;
export type Generation = keyof typeof STATES;

export interface ListedAuthority {
  readonly name: AuthorityName;
  readonly state: Generation;
  readonly certificate: string;
  readonly notAfter: Date;
}

export interface PrepareOptions {
  readonly directory: string;
  readonly name: AuthorityName;
  /** Key of the root that signs, which is the next one where there is one; for `root` where the new key goes. Default: in pki/. */
  readonly rootKeyFile?: string;
  readonly passphrase?: string;
  readonly clock: () => Date;
}

/**
 * Makes the CA that will replace one, beside it: the issuer publishes it and signs nothing by it.
 *
 * @returns the path of its certificate
 * @throws {AssayError} `conflict` when there is one already, `not-found` for a CA that the installation has not
 */
export async function prepare(options: PrepareOptions): Promise<string> {
  const layout = layoutOf(resolve(options.directory));
  const { name, passphrase, clock, rootKeyFile } = options;
  const current = await readCertificate(existing(layout, name, 'current').certificate);
  const next = layout.authority(name, '.next');
  if (existsSync(next.certificate)) {
    const message = `${next.certificate} is there already; activate it, or remove it and its key`;
    throw new AssayError('conflict', message);
  }
  const files = { ...next, ...(name === 'root' && rootKeyFile ? { key: resolve(rootKeyFile) } : {}) };
  await writeKeyed(files, await successorOf(layout, options, current, clock()), { passphrase });
  return files.certificate;
}

async function successorOf(layout: Layout, options: PrepareOptions, current: Certificate, now: Date) {
  const { name, passphrase, rootKeyFile } = options;
  if (name === 'root') {
    const commonName = onlyAttribute(current.subject.rdns, ATTRIBUTE.COMMON_NAME) ?? 'assay node root';
    return createNodeRoot({ commonName, ...validFor(LIFETIME_DAYS.nodeRoot, now) });
  }
  const coming = layout.authority('root', '.next');
  const files = existsSync(coming.certificate) ? coming : layout.authority('root', '');
  const key = rootKeyFile === undefined ? files.key : resolve(rootKeyFile);
  return makeIssuingCa(await readCa({ ...files, key }, passphrase), name, now);
}

/**
 * Makes the next CA the current one, which becomes the previous one: it goes on to revoke what it signed.
 *
 * @throws {AssayError} `not-found` when none was prepared; `conflict` when the one before is not retired yet
 */
export async function activate(directory: string, name: AuthorityName): Promise<string> {
  const layout = layoutOf(resolve(directory));
  const next = existing(layout, name, 'next');
  const current = existing(layout, name, 'current');
  const previous = layout.authority(name, '.previous');
  if (existsSync(previous.certificate)) {
    const message = `${previous.certificate} is still there; retire it first`;
    throw new AssayError('conflict', message);
  }
  // Issuers read these files when they start: one that starts between the two moves refuses, and says which is missing.
  await move(current, previous);
  await move(next, current);
  return current.certificate;
}

/**
 * Removes the previous CA: what it signed is no longer revoked by it, nor trusted by who follows what is published.
 *
 * @throws {AssayError} `not-found` when there is none; `conflict` while an issuing CA is below that root
 */
export async function retire(directory: string, name: AuthorityName): Promise<string> {
  const layout = layoutOf(resolve(directory));
  const previous = existing(layout, name, 'previous');
  if (name === 'root') await refuseWhileUsed(layout, previous);
  await rm(previous.certificate);
  await rm(previous.key, { force: true });
  return previous.certificate;
}

async function refuseWhileUsed(layout: Layout, previous: KeyedFiles): Promise<void> {
  const root = await readCertificate(previous.certificate);
  for (const name of issuingNames(layout)) {
    for (const suffix of Object.values(STATES)) {
      const { certificate: file } = layout.authority(name, suffix);
      if (existsSync(file) && verifySignature(await readCertificate(file), root) === 'good') {
        const message = `${file} is signed by that root; replace it first: assay ca prepare ${name}`;
        throw new AssayError('conflict', message);
      }
    }
  }
}

/** Of the current ones, in order. */
function issuingNames({ pki }: Layout): string[] {
  const names = readdirSync(pki).map((file) => /^issuing-([a-z0-9-]+(?:\.full)?)\.crt$/.exec(file)?.[1]);
  return names.filter((name) => name !== undefined).sort();
}

/** Every CA of the node PKI that the installation has, in all states. */
export async function listAuthorities(directory: string): Promise<ListedAuthority[]> {
  const layout = layoutOf(resolve(directory));
  const found: ListedAuthority[] = [];
  for (const name of ['root', ...issuingNames(layout)]) {
    for (const state of ['next', 'current', 'previous'] as const) {
      const { certificate } = layout.authority(name, STATES[state]);
      if (!existsSync(certificate)) continue;
      const { notAfter } = await readCertificate(certificate);
      found.push({ name, state, certificate, notAfter });
    }
  }
  return found;
}

function existing(layout: Layout, name: AuthorityName, state: Generation): KeyedFiles {
  const files = layout.authority(name, STATES[state]);
  if (existsSync(files.certificate)) return files;
  const message = { next: 'prepare it first', current: 'is the name right?', previous: 'nothing to do' };
  throw new AssayError('not-found', `there is no ${files.certificate}: ${message[state]}`);
}

async function move(from: KeyedFiles, to: KeyedFiles): Promise<void> {
  // A root's key may be elsewhere.
  if (existsSync(from.key)) await rename(from.key, to.key);
  await rename(from.certificate, to.certificate);
}
