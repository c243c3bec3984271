import { parseSpiffeId } from '../../core/spiffe/id.ts';
import type { Certificate } from '../../core/x509/certificate.ts';
import { certify, createRoot, type KeyedCertificate } from '../../platform/pki/certify.ts';
import {
  basicConstraints,
  extKeyUsage,
  keyUsage,
  subjectAltName,
  USAGE,
} from '../../platform/pki/extensions.ts';
import { createKeyPair, signWith } from '../../platform/pki/keys.ts';
import { commonNameOnly } from '../../platform/pki/names.ts';

export interface SvidOptions {
  readonly uris?: readonly string[];
  readonly lifetimeMs?: number;
  readonly extensions?: readonly Uint8Array[];
  /** Under a CA of its own, below the root. */
  readonly below?: KeyedCertificate;
}

export interface TestSvid {
  readonly id: string;
  /** Leaf first, without the root. */
  readonly chain: readonly Certificate[];
  /** DER (PKCS#8). */
  readonly key: Uint8Array;
}

const HOUR_MS = 3_600_000;
const AN_HOUR_AGO = () => new Date(Date.now() - HOUR_MS);

/** What an SVID has besides its names (X509-SVID, appendix A). */
export const LEAF = [
  basicConstraints(false),
  keyUsage('digitalSignature'),
  extKeyUsage(USAGE.SERVER_AUTH, USAGE.CLIENT_AUTH),
];

/** The CA of a trust domain. */
export class SpiffeCa {
  readonly trustDomain: string;
  readonly root: KeyedCertificate;

  private constructor(trustDomain: string, root: KeyedCertificate) {
    this.trustDomain = trustDomain;
    this.root = root;
  }

  static async create(trustDomain: string): Promise<SpiffeCa> {
    const validity = { notBefore: AN_HOUR_AGO(), notAfter: new Date(Date.now() + HOUR_MS) };
    return new SpiffeCa(trustDomain, await createRoot({ ...validity, commonName: trustDomain }, 1));
  }

  /** An intermediate. */
  async below(commonName: string): Promise<KeyedCertificate> {
    const extensions = [basicConstraints(true, 0), keyUsage('keyCertSign')];
    return this.#make(this.root, { commonName, extensions });
  }

  async svid(id: string, options: SvidOptions = {}): Promise<TestSvid> {
    const { uris = [id], extensions = LEAF, below, lifetimeMs = HOUR_MS / 2 } = options;
    const names = uris.length === 0 ? [] : [subjectAltName({ uris })];
    const made = await this.#make(below ?? this.root, {
      ...{ commonName: parseSpiffeId(id).path || 'leaf', lifetimeMs },
      extensions: [...extensions, ...names],
    });
    return {
      id,
      chain: [made.certificate, ...(below ? [below.certificate] : [])],
      key: made.privateKey.export({ type: 'pkcs8', format: 'der' }),
    };
  }

  async #make(
    ca: KeyedCertificate,
    options: { commonName: string; extensions: readonly Uint8Array[]; lifetimeMs?: number },
  ): Promise<KeyedCertificate> {
    const { commonName, extensions, lifetimeMs = HOUR_MS / 2 } = options;
    const { publicKey, privateKey } = await createKeyPair('p256');
    const certificate = await certify(
      {
        subject: commonNameOnly(commonName),
        spki: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
        ...{ extensions, notBefore: AN_HOUR_AGO(), notAfter: new Date(Date.now() + lifetimeMs) },
      },
      ca,
    );
    return { certificate, privateKey, sign: signWith(privateKey) };
  }
}
