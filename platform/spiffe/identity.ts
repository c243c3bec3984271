import { createPrivateKey, type KeyObject } from 'node:crypto';
import { AssayError } from '../../core/errors.ts';
import { renderSpiffeId, type SpiffeId } from '../../core/spiffe/id.ts';
import { spiffeIdOf } from '../../core/spiffe/x509-svid.ts';
import { type Certificate, parseCertificate } from '../../core/x509/certificate.ts';
import { parsePemBundle, renderPem } from '../../core/x509/pem.ts';
import { spkiSha256 } from '../../core/x509/spki.ts';

/** Trust domains with the anchors of each. */
export type Bundles = ReadonlyMap<string, readonly Certificate[]>;

/** An X509-SVID of ours, with what others are judged by. */
export interface X509Identity {
  readonly id: SpiffeId;
  /** What the Workload API says it is for; empty without one. */
  readonly hint: string;
  readonly leaf: Certificate;
  /** PEM, leaf first. */
  readonly certificate: string;
  /** PEM (PKCS#8). */
  readonly key: string;
  /** Of its own trust domain, and of those federated with it. */
  readonly bundles: Bundles;
}

/**
 * Puts an SVID together, and sees that its parts belong to each other.
 *
 * @param chain PEM, or DER of certificates one behind the other; leaf first
 * @param key PKCS#8, in PEM or DER
 * @throws {AssayError} `malformed`
 */
export function readIdentity(chain: Uint8Array, key: Uint8Array, bundles: Bundles, hint = ''): X509Identity {
  const [leaf, ...above] = readCertificates(chain);
  if (!leaf) throw new AssayError('malformed', 'an X509-SVID without a certificate');
  const id = spiffeIdOf(leaf);
  const privateKey = readKey(key);
  if (Buffer.compare(spkiSha256(privateKey), spkiSha256(leaf)) !== 0)
    throw new AssayError('malformed', `the key of ${renderSpiffeId(id)} is not that of its certificate`);
  return {
    ...{ id, hint, leaf, bundles },
    certificate: pemOf([leaf, ...above]),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** @throws {AssayError} `malformed` */
export function readCertificates(bytes: Uint8Array): readonly Certificate[] {
  return parsePemBundle(bytes).map((der) => parseCertificate(der));
}

export function pemOf(certificates: readonly Certificate[]): string {
  return certificates.map(({ der }) => renderPem('CERTIFICATE', der)).join('');
}

/**
 * PEM of the anchors of a trust domain, for the `ca` of a connection: an empty one would stand for all that Node.js trusts.
 *
 * @throws {AssayError} `unavailable` when it is not known
 */
export function bundlePem({ bundles }: Pick<X509Identity, 'bundles'>, trustDomain: string): string {
  const bundle = bundles.get(trustDomain) ?? [];
  if (bundle.length > 0) return pemOf(bundle);
  throw new AssayError('unavailable', `our SVID came without the bundle of ${trustDomain}`);
}

function readKey(key: Uint8Array): KeyObject {
  try {
    const isPem = Buffer.from(key.subarray(0, 5)).toString('latin1') === '-----';
    if (isPem) return createPrivateKey({ key: Buffer.from(key), format: 'pem' });
    return createPrivateKey({ key: Buffer.from(key), format: 'der', type: 'pkcs8' });
  } catch {
    // What node:crypto says of it could quote it.
    throw new AssayError('malformed', 'the private key of an X509-SVID is not PKCS#8');
  }
}
