import { createDecipheriv, createPrivateKey, createPublicKey, hash, type KeyObject, sign } from 'node:crypto';
import { fromBase64, toBase64 } from '../../core/bytes/encoding.ts';
import { AssayError } from '../../core/errors.ts';
import { IssueChallenge, IssuedCertificate, type IssueRequest } from '../../core/messages/issue.ts';
import type { NodeCaSigner, NodeTpm } from '../node-tpm-port.ts';
import type { ServiceClient } from '../service-client.ts';
import type { NodeAuthority } from './authority.ts';
import type { CheckedNodeCa, NodeCaExpectation } from './certificates.ts';

export interface IssueDependencies {
  readonly issuer: Pick<ServiceClient, 'post'>;
  readonly tpm: Pick<NodeTpm, 'nodeCaKey' | 'activate'>;
  readonly keyMode: 'tpm' | 'delivered';
  /** Who we are, by the registrar. */
  readonly nodeId: string;
  readonly now: Date;
  /** Refuses a certificate that is not a node CA of ours under the chain that came with it. */
  readonly check: (expected: NodeCaExpectation) => CheckedNodeCa;
}

/** Asks the issuer for a node CA certificate and takes nothing from it unchecked. */
export async function obtainAuthority(deps: IssueDependencies): Promise<NodeAuthority> {
  const challenge = await deps.issuer.post('/v1/nodes/self/challenge', {}, IssueChallenge);
  return deps.keyMode === 'tpm' ? obtainForTpmKey(deps, challenge) : obtainDelivered(deps, challenge);
}

async function obtainForTpmKey(deps: IssueDependencies, { nonce }: IssueChallenge): Promise<NodeAuthority> {
  const key = await deps.tpm.nodeCaKey();
  const { attest, signature } = await key.certify(fromBase64(nonce, 'nonce'));
  const issued = await request(deps, {
    mode: 'tpm',
    nonce,
    publicArea: toBase64(key.public),
    attest: toBase64(attest),
    signature: toBase64(signature),
  });
  return authorityOf(deps, issued, key.spki, tpmKey(key));
}

async function obtainDelivered(deps: IssueDependencies, { nonce }: IssueChallenge): Promise<NodeAuthority> {
  const issued = await request(deps, { mode: 'delivered', nonce });
  const key = await openDelivered(deps, issued);
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return authorityOf(deps, issued, spki, memoryKey(key));
}

function request({ issuer }: IssueDependencies, body: IssueRequest): Promise<IssuedCertificate> {
  return issuer.post('/v1/nodes/self/certificate', body, IssuedCertificate);
}

type AuthorityKey = Pick<NodeAuthority, 'keyMode' | 'sign' | 'discard'>;

function tpmKey(key: NodeCaSigner): AuthorityKey {
  return {
    keyMode: 'tpm',
    sign: (data) => key.signDigest(hash('sha256', data, 'buffer')),
    discard: () => {},
  };
}

function memoryKey(key: KeyObject): AuthorityKey {
  let held: KeyObject | undefined = key;
  return {
    keyMode: 'delivered',
    async sign(data) {
      if (held === undefined) throw new AssayError('not-trusted', 'the node CA key was destroyed');
      return sign('sha256', data, held);
    },
    discard() {
      held = undefined;
    },
  };
}

function authorityOf(
  { nodeId, now, check }: IssueDependencies,
  issued: IssuedCertificate,
  spki: Uint8Array,
  key: AuthorityKey,
): NodeAuthority {
  const certificate = fromBase64(issued.certificate, 'certificate');
  const chain = issued.chain.map((one) => fromBase64(one, 'chain'));
  const [issuingCa] = chain;
  if (issued.nodeId !== nodeId || issuingCa === undefined) {
    key.discard();
    throw new AssayError('malformed', 'the issuer sent a certificate for another node, or without its chain');
  }
  const { nodesDomain, trustDomain } = issued;
  const checked = check({ certificate, chain, nodeId, nodesDomain, trustDomain, spki, now });
  return { ...key, ...checked, nodeId, nodesDomain, certificate, issuingCa };
}

/** The key comes encrypted under one that only this TPM opens, and bound to exactly this certificate. */
async function openDelivered({ tpm }: IssueDependencies, issued: IssuedCertificate): Promise<KeyObject> {
  const { key: wrapped } = issued;
  if (wrapped === undefined) throw new AssayError('malformed', 'the issuer sent no key with the certificate');
  const secret = await tpm.activate(fromBase64(wrapped.credential, 'key.credential'));
  try {
    const decipher = createDecipheriv('aes-256-gcm', secret, fromBase64(wrapped.iv, 'key.iv'), {
      authTagLength: 16,
    });
    decipher.setAAD(fromBase64(issued.certificate, 'certificate'));
    decipher.setAuthTag(fromBase64(wrapped.tag, 'key.tag'));
    const ciphertext = fromBase64(wrapped.ciphertext, 'key.ciphertext');
    const pkcs8 = Buffer.concat([decipher.update(ciphertext), decipher.final()]);
    const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
    pkcs8.fill(0);
    return key;
  } catch (cause) {
    const message =
      'the delivered key does not open: it was made for another node or certificate, or changed';
    throw new AssayError('activation-failed', message, { cause });
  } finally {
    secret.fill(0);
  }
}
