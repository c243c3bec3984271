import { createHash, X509Certificate } from 'node:crypto';
import { fromBase64, toBase64 } from '../core/bytes/encoding.ts';
import { AssayError } from '../core/errors.ts';
import {
  EnrolmentChallenge,
  type EnrolmentRequest,
  enrolmentProof,
  NodeSelf,
} from '../core/messages/enrolment.ts';
import type { HostPort } from './config.ts';
import type { OnAgentEvent } from './events.ts';
import type { NodeTpm } from './node-tpm-port.ts';
import type { ServiceClient } from './service-client.ts';

export interface EnrolmentDependencies {
  readonly tpm: Pick<NodeTpm, 'ek' | 'ak' | 'activate'>;
  readonly registrar: Pick<ServiceClient, 'post'>;
  readonly onEvent: OnAgentEvent;
}

export interface Registration {
  readonly alias: string;
  readonly contact: HostPort;
  /** PEM of the certificate that our server shows and our clients use. */
  readonly tlsCertificate: string;
}

/**
 * Binds this TPM, the TLS key and the address to one record at the registrar. The registrar learns from
 * the proof that the TPM opened its credential for exactly this request.
 */
export async function enrol(
  deps: EnrolmentDependencies,
  registration: Registration,
  joinToken: string | undefined,
): Promise<NodeSelf> {
  const { tpm, registrar, onEvent } = deps;
  const request = enrolmentRequest(tpm, registration, joinToken);
  const challenge = await registrar.post('/v1/enrolments', request, EnrolmentChallenge);
  if (challenge.nodeId !== tpm.ek.nodeId) throw otherNode(challenge.nodeId, tpm.ek.nodeId);
  onEvent({ step: 'challenged', nodeId: challenge.nodeId });
  const secret = await tpm.activate(fromBase64(challenge.credential, 'credential'));
  const proof = toBase64(enrolmentProof(secret, request));
  const path = `/v1/enrolments/${encodeURIComponent(challenge.id)}/activation`;
  const self = await registrar.post(path, { proof }, NodeSelf);
  onEvent({ step: 'activated', nodeId: self.nodeId, version: self.version, state: self.state });
  return self;
}

/** SHA-256 of what the registrar must have on record: a change of any of it must be enrolled. */
export function registrationDigest(
  tpm: Pick<NodeTpm, 'ek' | 'ak'>,
  { alias, contact, tlsCertificate }: Registration,
): string {
  const fields = [toBase64(tpm.ek.public), toBase64(tpm.ak.public), alias, contact.host, contact.port];
  return createHash('sha256')
    .update(JSON.stringify([...fields, tlsCertificate]))
    .digest('hex');
}

function enrolmentRequest(
  { ek, ak }: Pick<NodeTpm, 'ek' | 'ak'>,
  { alias, contact, tlsCertificate }: Registration,
  joinToken: string | undefined,
): EnrolmentRequest {
  return {
    alias,
    ekPublic: toBase64(ek.public),
    ekCertificates: ek.certificates.map(toBase64),
    akPublic: toBase64(ak.public),
    tlsCertificate: toBase64(new X509Certificate(tlsCertificate).raw),
    contact: { host: contact.host, port: contact.port },
    ...(joinToken === undefined ? {} : { joinToken }),
  };
}

function otherNode(got: string, expected: string): AssayError {
  return new AssayError(
    'malformed',
    `the registrar calls this node ${got}; by its endorsement key it is ${expected}`,
  );
}
