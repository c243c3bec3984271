import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { renderPem } from '../core/x509/pem.ts';
import { readPrivateFile } from '../platform/pki/key-file.ts';
import { createSelfSignedTlsCertificate } from '../platform/pki/self-signed.ts';
import type { StateStore } from './state-store.ts';

/** What this agent is to its peers: they know the certificate by its bytes, so it lasts. */
export interface TlsIdentity {
  /** PEM. */
  readonly certificate: string;
  /** PKCS#8 PEM. */
  readonly key: string;
  /** SubjectPublicKeyInfo, PEM: PCR 16 holds its hash. */
  readonly publicKey: string;
}

const YEARS = 20;
const BACK_DATED_MS = 24 * 3_600_000;
const MAX_COMMON_NAME = 64;

/** The TLS key and certificate of an earlier start, or new ones. */
export async function loadTlsIdentity(state: StateStore, alias: string, now: Date): Promise<TlsIdentity> {
  const certificate = await state.readText('tls.crt');
  const kept = certificate === undefined ? undefined : await readKept(state, certificate);
  if (kept !== undefined) return kept;
  const made = await makeIdentity(alias, now);
  // The key first: a certificate without its key would look like a kept identity.
  await state.writeText('tls.key', made.key);
  await state.writeText('tls.crt', made.certificate);
  return made;
}

async function readKept(state: StateStore, certificate: string): Promise<TlsIdentity | undefined> {
  if ((await state.readText('tls.key')) === undefined) return undefined;
  const key = await readPrivateFile(state.path('tls.key'));
  const isPair = new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  return isPair ? { certificate, key, publicKey: publicKeyOf(key) } : undefined;
}

async function makeIdentity(alias: string, now: Date): Promise<TlsIdentity> {
  const notAfter = new Date(now);
  notAfter.setUTCFullYear(now.getUTCFullYear() + YEARS);
  const { certificate, privateKey } = await createSelfSignedTlsCertificate({
    commonName: alias.slice(0, MAX_COMMON_NAME),
    dnsNames: isIP(alias) === 0 ? ['localhost', alias] : ['localhost'],
    ipAddresses: ['127.0.0.1', '::1'],
    notBefore: new Date(now.getTime() - BACK_DATED_MS),
    notAfter,
  });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { certificate: renderPem('CERTIFICATE', certificate.der), key, publicKey: publicKeyOf(key) };
}

function publicKeyOf(key: string): string {
  return createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
}
