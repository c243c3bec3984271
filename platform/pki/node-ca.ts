import type { Certificate } from '../../core/x509/certificate.ts';
import { type NodeCaSubject, nodeCaProfile } from '../../core/x509/node-ca.ts';
import { certify, createRoot, type KeyedCertificate, type Validity } from './certify.ts';
import {
  basicConstraints,
  extKeyUsage,
  keyUsage,
  nameConstraints,
  ocspNoCheck,
  type RevocationUrls,
  revocationPointers,
  subjectAltName,
  USAGE,
} from './extensions.ts';
import { createKeyPair, type SigningCa, type SignTbs, signWith } from './keys.ts';
import { commonNameOnly } from './names.ts';

// The same in every certificate; encoding them anew was a fifth of the work.
const CA_USAGE = keyUsage('keyCertSign', 'cRLSign');
const NODE_CA_USAGE = keyUsage('keyCertSign');
const NODE_CA_CONSTRAINTS = basicConstraints(true, 0);
const LEAF_USAGE = keyUsage('digitalSignature');
const LEAF_CONSTRAINTS = basicConstraints(false);

/** The root of the node PKI; needed only to make issuing CAs, so its key can be kept offline. */
export async function createNodeRoot(
  options: Validity & { readonly commonName: string },
): Promise<KeyedCertificate> {
  return createRoot(options, 2);
}

export interface IssuingCaOptions extends Validity {
  readonly root: SigningCa;
  /** Node group; every group has an issuing CA of its own, whose fingerprint no node can forge. */
  readonly group: string;
  readonly commonName?: string;
}

/** The issuing CA of a node group, with path length 1: below it are the nodes' CAs, and below those only leaves. */
export async function createIssuingCa(options: IssuingCaOptions): Promise<KeyedCertificate> {
  const { root, group, commonName = `assay issuing CA ${group}`, notBefore, notAfter } = options;
  const { publicKey, privateKey } = await createKeyPair('p256');
  const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
  const subject = commonNameOnly(commonName);
  const extensions = [basicConstraints(true, 1), CA_USAGE];
  const certificate = await certify({ subject, spki, notBefore, notAfter, extensions }, root);
  return { certificate, privateKey, sign: signWith(privateKey) };
}

export interface OcspResponderOptions extends Validity {
  readonly issuingCa: SigningCa;
  /** DER; a key on P-256. */
  readonly spki: Uint8Array;
}

/**
 * Of whoever answers for an issuing CA whether its certificates are revoked. It can do nothing else: it has no name that
 * TLS or x509pop could use.
 */
export async function createOcspResponderCertificate(options: OcspResponderOptions): Promise<Certificate> {
  const { issuingCa, spki, notBefore, notAfter } = options;
  const subject = commonNameOnly('assay OCSP responder');
  const extensions = [LEAF_CONSTRAINTS, LEAF_USAGE, extKeyUsage(USAGE.OCSP_SIGNING), ocspNoCheck()];
  return certify({ subject, spki, notBefore, notAfter, extensions }, issuingCa);
}

export interface NodeCaOptions extends NodeCaSubject, Validity {
  readonly issuingCa: SigningCa;
  /** DER; a key on P-256. */
  readonly publicKeySpki: Uint8Array;
  /** Recorded before the certificate is made. */
  readonly serial: Uint8Array;
  readonly revocation?: RevocationUrls | undefined;
}

/** The CA of one node (see nodeCaProfile). The subject is the registrar's node id; nothing comes from the request. */
export async function createNodeCaCertificate(options: NodeCaOptions): Promise<Certificate> {
  const profile = nodeCaProfile(options);
  const { publicKeySpki: spki, serial, notBefore, notAfter, issuingCa, revocation } = options;
  const subject = commonNameOnly(profile.commonName);
  const extensions = [
    ...[NODE_CA_CONSTRAINTS, NODE_CA_USAGE, nameConstraints(profile.nameConstraints)],
    ...(revocation ? revocationPointers(revocation) : []),
  ];
  return certify({ subject, spki, serial, notBefore, notAfter, extensions }, issuingCa);
}

export interface NodeLeafOptions extends Validity {
  readonly caCertificate: Certificate;
  /** The node CA's key, which may be in the TPM. */
  readonly sign: SignTbs;
  readonly nodeId: string;
  readonly nodesDomain: string;
  /** DER; a key on P-256. */
  readonly publicKeySpki: Uint8Array;
  readonly serial?: Uint8Array;
}

/** The leaf that a node makes for itself: one DNS name, no other name, digitalSignature. */
export async function mintNodeLeaf(options: NodeLeafOptions): Promise<Certificate> {
  const { nodeId, nodesDomain, publicKeySpki: spki, serial, caCertificate, sign } = options;
  const { notBefore, notAfter } = options;
  // x509pop would let the node go on with the leaf until its CA expires, but renewals would look wrong.
  if (notAfter > caCertificate.notAfter)
    throw new RangeError('the leaf would outlive the certificate of its CA');
  const subject = commonNameOnly(nodeId);
  const names = subjectAltName({ dnsNames: [`${nodeId}.${nodesDomain}`] });
  const extensions = [LEAF_CONSTRAINTS, LEAF_USAGE, names];
  return certify(
    { subject, spki, serial, notBefore, notAfter, extensions },
    { certificate: caCertificate, sign },
  );
}
