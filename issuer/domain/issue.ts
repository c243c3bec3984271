import { hash } from 'node:crypto';
import { fromBase64, toBase64, toHex } from '../../core/bytes/encoding.ts';
import { AssayError } from '../../core/errors.ts';
import type { IssuedCertificate, IssueRequest } from '../../core/messages/issue.ts';
import type { RandomBytes } from '../../core/tpm/seed.ts';
import type { KeyMode } from '../../platform/database/schema.ts';
import { randomSerial } from '../../platform/pki/keys.ts';
import type { GroupPolicy } from '../config.ts';
import type { Authorities } from '../signer/authorities.ts';
import { verifyCertifiedKey } from './certified-key.ts';
import { decideIssue } from './decision.ts';
import { createDeliverableKey, type DeliverableKey, wrapKey } from './delivered-key.ts';
import type { IssuedNode, IssueStore } from './ports.ts';

export interface IssueDependencies {
  readonly store: IssueStore;
  readonly authorities: Authorities;
  readonly groups: ReadonlyMap<string, GroupPolicy>;
  readonly trustDomain: string;
  readonly nodesDomain: string;
  readonly randomBytes: RandomBytes;
  /** Told when a certificate is about to leave. */
  readonly onIssued?: (group: string, keyMode: KeyMode) => void;
}

/**
 * Issues a node CA certificate. The request is verified in full first; then one transaction decides and records;
 * only then something is signed, checked, and given away. When signing fails the record stays and nothing leaves.
 */
export async function issueCertificate(
  deps: IssueDependencies,
  nodeId: string,
  request: IssueRequest,
): Promise<IssuedCertificate> {
  const node = await deps.store.findNode(nodeId);
  if (!node) throw new AssayError('unauthenticated', 'the registrar has no record of this node');
  const subject = subjectOf(request, node);
  const serial = randomSerial(deps.randomBytes);
  const recorded = await deps.store.record(
    {
      nodeId: node.id,
      nodeVersion: node.version,
      nonceSha256: sha256(fromBase64(request.nonce, 'nonce')),
      serial,
      keyMode: request.mode,
      subjectSpkiSha256: sha256(subject.spki),
    },
    {
      decide: (facts) => decideIssue(facts, request.mode, deps.groups),
      authorityOf: (group, tier) => deps.authorities.signerOf(group, tier).sha256,
    },
  );
  const { notBefore, notAfter, groupName, tier } = recorded;
  const signer = deps.authorities.signerOf(groupName, tier);
  const certificate = await signer.signNodeCa({
    serial,
    nodeId: node.id,
    spki: subject.spki,
    notBefore,
    notAfter,
  });
  await deps.store.keep(serial, certificate);
  deps.onIssued?.(groupName, request.mode);
  return {
    nodeId: node.id,
    serial: toHex(serial),
    certificate: toBase64(certificate),
    chain: [toBase64(signer.certificate), toBase64(deps.authorities.rootOf(signer))],
    notBefore: notBefore.toISOString(),
    notAfter: notAfter.toISOString(),
    trustDomain: deps.trustDomain,
    nodesDomain: deps.nodesDomain,
    ...(subject.key ? { key: wrapKey(subject.key, node, certificate, deps.randomBytes) } : {}),
  };
}

interface Subject {
  readonly spki: Uint8Array;
  /** With `key: delivered`. */
  readonly key?: DeliverableKey;
}

function subjectOf(request: IssueRequest, node: IssuedNode): Subject {
  if (request.mode === 'tpm') return { spki: verifyCertifiedKey(request, node.akPublic) };
  const key = createDeliverableKey();
  return { spki: key.spki, key };
}

export function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha256', bytes, 'buffer'));
}
