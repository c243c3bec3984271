import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import type { Certificate } from '../../core/x509/certificate.ts';
import type { KeyUsage } from '../../core/x509/extensions.ts';
import { type CertificateSpec, certify, type Validity } from '../pki/certify.ts';
import { type AltNames, basicConstraints, keyUsage, subjectAltName } from '../pki/extensions.ts';
import { createKeyPair, type KeyPair, randomSerial, type SigningCa, signWith } from '../pki/keys.ts';
import { commonNameOnly } from '../pki/names.ts';
import { createNodeCaCertificate } from '../pki/node-ca.ts';
import { agentPath } from './agent-path.ts';
import type { X509popMaterial } from './attest.ts';

/** In whose name certificates are made. */
export interface EvasionPki {
  /** That of a node group, as the issuer has it. */
  readonly issuingCa: SigningCa;
  readonly trustDomain: string;
  readonly nodesDomain: string;
  /** Certificates of the issuing CA's issuers that a server wants to see, if its anchor is the root. */
  readonly above: readonly Certificate[];
  readonly at: Date;
}

/** What a leaf says, where it is not what it should say. */
export interface LeafChanges {
  readonly commonName?: string;
  /** `null`: none at all. */
  readonly names?: AltNames | null;
  /** `null`: it does not say. */
  readonly usage?: KeyUsage | null;
  readonly key?: 'p256' | 'p384' | 'rsa' | 'ed25519';
  /** DER of each, beside those that it has. */
  readonly extensions?: readonly Uint8Array[];
  readonly isCa?: boolean;
  readonly validity?: Validity;
  /** Who is named as the issuer, in place of the one who signs. */
  readonly issuer?: Partial<Pick<Certificate, 'subject' | 'subjectKeyId'>>;
}

const MINUTE_MS = 60_000;

/** So many minutes around a time. */
export function minutes(at: Date, from: number, to: number): Validity {
  return {
    notBefore: new Date(at.getTime() + from * MINUTE_MS),
    notAfter: new Date(at.getTime() + to * MINUTE_MS),
  };
}

/** A node in the hands of an attacker: it holds the key of its own CA, and signs with it whatever it likes. */
export class EvasionNode {
  readonly id: string;
  readonly pki: EvasionPki;
  readonly ca: SigningCa;
  readonly caKey: KeyObject;

  private constructor(id: string, pki: EvasionPki, ca: SigningCa, caKey: KeyObject) {
    this.id = id;
    this.pki = pki;
    this.ca = ca;
    this.caKey = caKey;
  }

  /** A node as the issuer makes it: the profile of its CA is the real one. */
  static async create(
    pki: EvasionPki,
    id = throwAwayId(),
    validity = minutes(pki.at, -5, 10),
  ): Promise<EvasionNode> {
    const { publicKey, privateKey } = await createKeyPair('p256');
    const { issuingCa, trustDomain, nodesDomain } = pki;
    const certificate = await createNodeCaCertificate({
      ...{ issuingCa, trustDomain, nodesDomain, nodeId: id, ...validity, serial: randomSerial() },
      publicKeySpki: spkiOf(publicKey),
    });
    return new EvasionNode(id, pki, { certificate, sign: signWith(privateKey) }, privateKey);
  }

  /** The id of its agent in SPIRE. */
  get path(): string {
    return agentPath(this.id);
  }

  get dnsName(): string {
    return `${this.id}.${this.pki.nodesDomain}`;
  }

  /** The certificates behind a leaf of this node. */
  get intermediates(): readonly Uint8Array[] {
    return [this.ca.certificate, ...this.pki.above].map(({ der }) => der);
  }

  /** A leaf of this node, and its key; without changes a good one. */
  async leaf(changes: LeafChanges = {}): Promise<X509popMaterial> {
    const { certificate, privateKey } = await this.certificate(changes);
    return { chain: [certificate.der, ...this.intermediates], privateKey };
  }

  async certificate(changes: LeafChanges = {}) {
    const { issuer = {}, ...rest } = changes;
    const ca = {
      certificate: { ...this.ca.certificate, ...issuer, publicKey: this.ca.certificate.publicKey },
    };
    return certificateBy({ ...ca, sign: this.ca.sign }, this, rest);
  }
}

/** A certificate for a new key, by any CA. */
export async function certificateBy(
  ca: SigningCa,
  { id, dnsName, pki }: Pick<EvasionNode, 'id' | 'dnsName' | 'pki'>,
  {
    commonName = id,
    names = { dnsNames: [dnsName] },
    usage = 'digitalSignature',
    key = 'p256',
    extensions = [],
    isCa = false,
    validity,
  }: LeafChanges,
) {
  const { publicKey, privateKey } = await newKey(key);
  const spec: CertificateSpec = {
    ...(validity ?? minutes(pki.at, -5, 5)),
    subject: commonNameOnly(commonName),
    spki: spkiOf(publicKey),
    extensions: [
      basicConstraints(isCa),
      ...(usage === null ? [] : [isCa ? keyUsage(usage, 'keyCertSign') : keyUsage(usage)]),
      ...extensions,
      ...(names === null ? [] : [subjectAltName(names)]),
    ],
  };
  return { certificate: await certify(spec, ca), privateKey };
}

function newKey(kind: NonNullable<LeafChanges['key']>): Promise<KeyPair> | KeyPair {
  if (kind === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  return kind === 'ed25519' ? generateKeyPairSync('ed25519') : createKeyPair(kind);
}

/** A UUID of version 8 as nodes have, and of no node: it is random. */
function throwAwayId(): string {
  const hex = randomBytes(16).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
}

function spkiOf(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ type: 'spki', format: 'der' }));
}
