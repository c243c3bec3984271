import { parseCertificate } from '../../core/x509/certificate.ts';
import { renderPem } from '../../core/x509/pem.ts';
import { createKeyPair } from '../../platform/pki/keys.ts';
import { mintNodeLeaf } from '../../platform/pki/node-ca.ts';
import type { NodeAuthority, NodeMaterial } from './authority.ts';

export interface MintOptions {
  readonly now: Date;
  readonly leafTtlMs: number;
  /** For a verifier whose anchor is the root and not the issuing CA. */
  readonly includeIssuingCa: boolean;
}

/** SPIRE Server allows no difference between clocks; so much is given, as far as the intermediate goes back. */
const BACK_DATED_MS = 60_000;

/** A leaf with a new key under the node's CA, and all of it as the one file that SPIRE Agent reads. */
export async function mintMaterial(authority: NodeAuthority, options: MintOptions): Promise<NodeMaterial> {
  const { nodeId, nodesDomain } = authority;
  const { now, leafTtlMs, includeIssuingCa } = options;
  const caCertificate = parseCertificate(authority.certificate);
  const { publicKey, privateKey } = await createKeyPair('p256');
  const leaf = await mintNodeLeaf({
    caCertificate,
    sign: (tbs) => authority.sign(tbs),
    nodeId,
    nodesDomain,
    publicKeySpki: publicKey.export({ type: 'spki', format: 'der' }),
    notBefore: latest(new Date(now.getTime() - BACK_DATED_MS), caCertificate.notBefore),
    notAfter: earliest(new Date(now.getTime() + leafTtlMs), caCertificate.notAfter),
  });
  const certificates = [leaf.der, authority.certificate, ...(includeIssuingCa ? [authority.issuingCa] : [])];
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return {
    pem: certificates.map((der) => renderPem('CERTIFICATE', der)).join('') + key,
    subject: leaf.subject.text,
    issuer: leaf.issuer.text,
    notBefore: leaf.notBefore,
    notAfter: leaf.notAfter,
  };
}

function latest(a: Date, b: Date): Date {
  return a > b ? a : b;
}

function earliest(a: Date, b: Date): Date {
  return a < b ? a : b;
}
