import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mintMaterial } from '../../../../agent/node-material/mint.ts';
import { parseNodeId } from '../../../../core/identity.ts';
import { parseCertificate } from '../../../../core/x509/certificate.ts';
import { parsePemBundle } from '../../../../core/x509/pem.ts';
import { decideIssue } from '../../../../issuer/domain/decision.ts';
import { randomSerial, signWith } from '../../../../platform/pki/keys.ts';
import {
  createIssuingCa,
  createNodeCaCertificate,
  createNodeRoot,
} from '../../../../platform/pki/node-ca.ts';
import { commonName, type Forged, type Forgery, forge, type KeyPair, NOON } from './forge.ts';

export const NODE = {
  nodeId: parseNodeId('0f1e2d3c-4b5a-8877-9988-aabbccddeeff'),
  nodesDomain: 'nodes.example.test',
  trustDomain: 'example.test',
};
export const OTHER_NODE = '0f1e2d3c-4b5a-8877-9988-000000000000.nodes.example.test';
export const DNS_NAME = `${NODE.nodeId}.${NODE.nodesDomain}`;

const day = (days: number) => new Date(NOON.getTime() + days * 86_400_000);

/** root → issuing → node CA → leaf at NOON, each made by the code and with the dates that a fleet gets them from. */
export async function nodePki() {
  const root = await createNodeRoot({ commonName: 'assay root', notBefore: day(-30), notAfter: day(300) });
  const validity = { notBefore: day(-20), notAfter: day(200) };
  const issuingCa = await createIssuingCa({ root, group: 'web', ...validity });
  const key: KeyPair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { notBefore, notAfter } = grantedDates();
  const publicKeySpki = new Uint8Array(key.publicKey.export({ type: 'spki', format: 'der' }));
  const serial = randomSerial(randomBytes);
  const options = { ...NODE, issuingCa, publicKeySpki, serial, notBefore, notAfter };
  const nodeCa = await createNodeCaCertificate(options);
  const material = await mintMaterial(
    {
      ...NODE,
      keyMode: 'delivered',
      serial: nodeCa.serialHex,
      certificate: nodeCa.der,
      issuingCa: issuingCa.certificate.der,
      subject: nodeCa.subject.text,
      issuer: nodeCa.issuer.text,
      notAfter,
      sign: signWith(key.privateKey),
      discard: () => undefined,
    },
    { now: NOON, leafTtlMs: 300_000, includeIssuingCa: true },
  );
  return {
    root: root.certificate,
    rootKey: root.privateKey,
    issuing: issuingCa,
    nodeCa,
    nodeKey: key,
    material,
    leaf: leafOf(material.pem),
  };
}

export type NodePki = Awaited<ReturnType<typeof nodePki>>;

/** Certificates of the file for SPIRE, without its key. */
export function certificatesOf(pem: string): readonly Uint8Array[] {
  return parsePemBundle(pem.slice(0, pem.indexOf('-----BEGIN PRIVATE KEY')));
}

function leafOf(pem: string) {
  return parseCertificate(certificatesOf(pem)[0] ?? new Uint8Array());
}

function grantedDates() {
  const decision = decideIssue(
    {
      node: { version: 1, admission: 'admitted', groupName: 'web' },
      trust: { epoch: 0, standing: 'passing', nodeVersion: 1, trustedUntil: day(1) },
      tier: 'full',
      now: NOON,
    },
    'delivered',
    new Map([['web', { ttlMs: 600_000, keyModes: ['delivered'], fullTierCa: false }]]),
  );
  if (!decision.granted) throw new Error(decision.message);
  return decision;
}

/** A certificate signed with the key of the node's CA, valid as long as its leaf unless it says otherwise. */
export function forgeBelow({ nodeCa, nodeKey: key, leaf }: NodePki, forgery: Forgery): Forged {
  const issuer = { der: nodeCa.der, certificate: nodeCa, key, ski: nodeCa.subjectKeyId ?? null };
  const { notBefore, notAfter } = leaf;
  return forge({ subject: commonName(NODE.nodeId), issuer, notBefore, notAfter, ...forgery });
}
