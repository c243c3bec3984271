// @peculiar/x509 needs it before its own import.
import 'reflect-metadata';
import { constants, type KeyObject, randomBytes, sign, webcrypto } from 'node:crypto';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import { toBase64 } from '../../core/bytes/encoding.ts';
import { concat } from '../../core/bytes/writer.ts';
import { anonymousTransport } from './connection.ts';
import { Agent, type AttestAgentRequest } from './gen/spire/api/server/agent/v1/agent_pb.js';

/** What a node attests with: a leaf, what leads to the anchor, and the leaf's key. */
export interface X509popMaterial {
  /** DER, the leaf first. */
  readonly chain: readonly Uint8Array[];
  /** ECDSA or RSA. */
  readonly privateKey: KeyObject;
}

export interface AttestTarget {
  /** `host:port` */
  readonly address: string;
  readonly trustDomain: string;
  /** PEM: the trust bundle of the SPIRE server. */
  readonly bundle: string;
  readonly timeoutMs?: number;
}

/** What SPIRE's server said. */
export type AttestAnswer =
  | {
      readonly ok: true;
      /** `/spire/agent/…` */
      readonly path: string;
      readonly reattestable: boolean;
      readonly expiresAt: Date;
    }
  | { readonly ok: false; readonly code: string; readonly message: string };

const TIMEOUT_MS = 10_000;
const NONCE_BYTES = 32;

/**
 * Attests as spire-agent does with its x509pop plugin, without one: the chain, the challenge, the answer signed by the
 * leaf's key. A refusal is an answer.
 *
 * @throws {ConnectError} when the server cannot be reached or is not that of the trust domain
 */
export async function attestX509pop(target: AttestTarget, material: X509popMaterial): Promise<AttestAnswer> {
  const { address, bundle, trustDomain, timeoutMs = TIMEOUT_MS } = target;
  const client = createClient(Agent, anonymousTransport(address, bundle, trustDomain));
  const requests = new Requests();
  requests.send({ case: 'params', value: await paramsOf(material) });
  try {
    for await (const { step } of client.attestAgent(requests, { timeoutMs })) {
      if (step.case === 'challenge') {
        requests.send({ case: 'challengeResponse', value: answerTo(step.value, material.privateKey) });
      } else if (step.case === 'result') {
        const { svid, reattestable } = step.value;
        const expiresAt = new Date(Number(svid?.expiresAt ?? 0) * 1000);
        return { ok: true, path: svid?.id?.path ?? '', reattestable, expiresAt };
      }
    }
    return { ok: false, code: 'Unknown', message: 'the server ended without a result' };
  } catch (error) {
    const { code, rawMessage, cause } = ConnectError.from(error);
    // What has a cause happened here, before the server could answer.
    if (cause !== undefined || code === Code.Unavailable) throw error;
    return { ok: false, code: Code[code], message: rawMessage };
  } finally {
    requests.end();
  }
}

type Step = AttestAgentRequest['step'];

async function paramsOf({ chain }: X509popMaterial) {
  const payload = Buffer.from(JSON.stringify({ certificates: chain.map(toBase64) }));
  return { data: { type: 'x509pop', payload }, params: { csr: await newRequest() } };
}

/** A PKCS#10 request for a key that nobody keeps: the SVID itself is not wanted. */
async function newRequest(): Promise<Uint8Array<ArrayBuffer>> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, false, ['sign', 'verify']);
  const request = await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: algorithm });
  return new Uint8Array(request.rawData);
}

/** Both nonces, signed with SHA-256: by PSS, or by ECDSA with r and s apart. */
function answerTo(challenge: Uint8Array, key: KeyObject): Uint8Array<ArrayBuffer> {
  const { ecdsa_signature: ecdsa, rsa_signature: rsa } = JSON.parse(Buffer.from(challenge).toString());
  const nonce = randomBytes(NONCE_BYTES);
  const message = concat(Buffer.from(String((rsa ?? ecdsa)?.nonce ?? ''), 'base64'), nonce);
  const own = { nonce: toBase64(nonce) };
  const answer = rsa
    ? { rsa_signature: { ...own, ...signedByPss(message, key) } }
    : { ecdsa_signature: { ...own, ...signedByEcdsa(message, key) } };
  return new Uint8Array(Buffer.from(JSON.stringify(answer)));
}

function signedByEcdsa(message: Uint8Array, key: KeyObject) {
  const signature = sign('sha256', message, { key, dsaEncoding: 'ieee-p1363' });
  const half = signature.length / 2;
  return { r: toBase64(signature.subarray(0, half)), s: toBase64(signature.subarray(half)) };
}

function signedByPss(message: Uint8Array, key: KeyObject) {
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  const { RSA_PSS_SALTLEN_DIGEST: saltLength } = constants;
  return { signature: toBase64(sign('sha256', message, { key, padding, saltLength })) };
}

/** The sending half of the stream: what is sent waits until it is taken. */
class Requests implements AsyncIterable<{ step: Step }> {
  readonly #waiting: { step: Step }[] = [];
  #wake: () => void = () => {};
  #ended = false;

  send(step: Exclude<Step, { case: undefined }> | object): void {
    this.#waiting.push({ step: step as Step });
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator]() {
    while (!this.#ended) {
      const next = this.#waiting.shift();
      if (next) yield next;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
