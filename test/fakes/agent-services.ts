import { randomBytes, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { fromBase64, toBase64 } from '../../core/bytes/encoding.ts';
import { nodeIdOf } from '../../core/identity.ts';
import { type EnrolmentRequest, enrolmentProof, type NodeSelf } from '../../core/messages/enrolment.ts';
import type { IssuedCertificate, IssueRequest } from '../../core/messages/issue.ts';
import { appraiseCertify } from '../../core/tpm/certify.ts';
import { makeCredential, renderCredentialBlob } from '../../core/tpm/credential.ts';
import { spkiOf } from '../../core/tpm/key.ts';
import { computeName } from '../../core/tpm/name.ts';
import { parseTpm2bPublic } from '../../core/tpm/public.ts';
import { createDeliverableKey, wrapKey } from '../../issuer/domain/delivered-key.ts';
import { randomSerial } from '../../platform/pki/keys.ts';
import { createNodeCaCertificate } from '../../platform/pki/node-ca.ts';
import { type TestPki, testPki } from './pki.ts';

const SECOND = 1_000;

/** What a service answers in place of what was asked. */
export interface FakeRefusal {
  readonly status: number;
  readonly code: string;
  readonly rule?: string;
}

/** Registrar and issuer as an agent sees them, in one listener, with switches. */
export class AgentServices {
  readonly pki: TestPki;
  readonly enrolments: EnrolmentRequest[] = [];
  /** Path of each request, in order. */
  readonly requests: string[] = [];
  state: NodeSelf['state'] = 'enrolled';
  version = 0;
  /** Whether the record of the node is there. */
  known = true;
  /** Answer of the issuer, for as long as it is set. */
  refusal: FakeRefusal | undefined;
  ttlMs = 60 * SECOND;
  /** Changes a certificate before it is sent. */
  tamper: (issued: IssuedCertificate) => IssuedCertificate = (issued) => issued;
  /** Also when it no longer answers there. */
  readonly url: string;
  readonly #server: Server;
  readonly #pending = new Map<string, { request: EnrolmentRequest; secret: Uint8Array; nodeId: string }>();
  #nonce = new Uint8Array();
  #node: { request: EnrolmentRequest; nodeId: string } | undefined;

  private constructor(pki: TestPki, server: Server) {
    this.pki = pki;
    this.#server = server;
    this.url = `https://localhost:${(server.address() as AddressInfo).port}`;
    server.on('request', (request, response) => void this.#handle(request, response));
  }

  /** With certificates that were made as if it were `now`. */
  static async start(now = Date.now()): Promise<AgentServices> {
    const pki = await testPki(now);
    const { certificate, key } = pki.server;
    const server = createServer({
      ...{ cert: certificate, key, ca: pki.serviceCa.pem },
      ...{ requestCert: true, rejectUnauthorized: false },
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return new AgentServices(pki, server);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    this.requests.push(`${method} ${url}`);
    if (url === '/v1/ca') return void response.end(this.pki.serviceCa.pem);
    try {
      const answer = await this.#answer(
        `${method} ${url}`,
        await bodyOf(request),
        request.socket as TLSSocket,
      );
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    } catch (error) {
      const [status, problem] = problemOf(error);
      response.writeHead(status, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem));
    }
  }

  async #answer(route: string, body: string, socket: TLSSocket): Promise<object> {
    const activation = /^POST \/v1\/enrolments\/([^/]+)\/activation$/.exec(route)?.[1];
    if (activation !== undefined) return this.#activate(activation, JSON.parse(body));
    switch (route) {
      case 'GET /v1/discovery':
        return { issuer: this.url };
      case 'POST /v1/enrolments':
        return this.#challenge(JSON.parse(body));
      case 'GET /v1/nodes/self':
        return this.#self(socket);
      case 'POST /v1/nodes/self/challenge':
        this.#self(socket);
        this.#nonce = new Uint8Array(randomBytes(32));
        return { nonce: toBase64(this.#nonce), expiresInSeconds: 60 };
      case 'POST /v1/nodes/self/certificate':
        return this.#issue(JSON.parse(body), socket);
      default:
        throw new Refused({ status: 404, code: 'not-found' });
    }
  }

  #challenge(request: EnrolmentRequest): object {
    this.enrolments.push(request);
    const ek = parseTpm2bPublic(fromBase64(request.ekPublic, 'ek'));
    const ak = parseTpm2bPublic(fromBase64(request.akPublic, 'ak'));
    const [id, nodeId] = [randomUUID(), nodeIdOf(spkiOf(ek))];
    const secret = new Uint8Array(randomBytes(32));
    const objectName = computeName(ak);
    const credential = makeCredential({ ek, objectName, secret, randomBytes: random });
    this.#pending.set(id, { request, secret, nodeId });
    return { id, nodeId, credential: toBase64(renderCredentialBlob(credential)), expiresInSeconds: 60 };
  }

  #activate(id: string, { proof }: { readonly proof: string }): NodeSelf {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    const expected = pending && toBase64(enrolmentProof(pending.secret, pending.request));
    if (pending === undefined || proof !== expected)
      throw new Refused({ status: 403, code: 'activation-failed' });
    this.#node = pending;
    this.version += 1;
    this.known = true;
    return this.#record(pending);
  }

  #self(socket: TLSSocket): NodeSelf {
    const shown = socket.getPeerX509Certificate()?.raw;
    const registered = this.#node?.request.tlsCertificate;
    if (!this.known || this.#node === undefined || shown === undefined || toBase64(shown) !== registered) {
      throw new Refused({ status: 401, code: 'unauthenticated' });
    }
    return this.#record(this.#node);
  }

  #record({ request, nodeId }: { readonly request: EnrolmentRequest; readonly nodeId: string }): NodeSelf {
    const { version, state } = this;
    return { nodeId, version, alias: request.alias, state, group: 'web', admission: state, notes: [] };
  }

  async #issue(request: IssueRequest, socket: TLSSocket): Promise<IssuedCertificate> {
    const { nodeId } = this.#self(socket);
    if (this.refusal !== undefined) throw new Refused(this.refusal);
    const node = this.#node;
    if (node === undefined || request.nonce !== toBase64(this.#nonce)) {
      throw new Refused({ status: 410, code: 'challenge-expired' });
    }
    const delivered = request.mode === 'delivered' ? createDeliverableKey() : undefined;
    const spki = delivered?.spki ?? this.#certifiedSpki(request, node.request);
    const now = Date.now();
    const certificate = await createNodeCaCertificate({
      ...{ nodeId, nodesDomain: 'nodes.example.org', trustDomain: 'example.org' },
      ...{ issuingCa: this.pki.issuingCa, publicKeySpki: spki, serial: randomSerial() },
      notBefore: new Date(now - 60 * SECOND),
      notAfter: new Date(now + this.ttlMs),
    });
    const names = {
      ekPublic: fromBase64(node.request.ekPublic, 'ek'),
      akPublic: fromBase64(node.request.akPublic, 'ak'),
    };
    return this.tamper({
      nodeId,
      serial: certificate.serialHex,
      certificate: toBase64(certificate.der),
      chain: [this.pki.issuingCa, this.pki.root].map((ca) => toBase64(ca.certificate.der)),
      notBefore: certificate.notBefore.toISOString(),
      notAfter: certificate.notAfter.toISOString(),
      trustDomain: 'example.org',
      nodesDomain: 'nodes.example.org',
      ...(delivered === undefined
        ? {}
        : {
            key: wrapKey(delivered, { id: nodeId, version: this.version, ...names }, certificate.der, random),
          }),
    });
  }

  #certifiedSpki(request: IssueRequest, { akPublic }: EnrolmentRequest): Uint8Array {
    if (request.mode !== 'tpm') throw new Refused({ status: 400, code: 'invalid-request' });
    const publicArea = parseTpm2bPublic(fromBase64(request.publicArea, 'public'));
    const appraisal = appraiseCertify({
      akPublic: parseTpm2bPublic(fromBase64(akPublic, 'ak')),
      attest: fromBase64(request.attest, 'attest'),
      signature: fromBase64(request.signature, 'signature'),
      nonce: this.#nonce,
      objectPublic: publicArea,
    });
    if (!appraisal.ok)
      throw new Refused({ status: 422, code: 'identity-refused', rule: appraisal.findings[0]?.rule ?? '' });
    return spkiOf(publicArea);
  }
}

class Refused extends Error {
  readonly refusal: FakeRefusal;

  constructor(refusal: FakeRefusal) {
    super(refusal.code);
    this.refusal = refusal;
  }
}

function problemOf(error: unknown): readonly [number, object] {
  if (!(error instanceof Refused)) return [500, { code: 'internal', detail: String(error) }];
  const { status, code, rule } = error.refusal;
  return [
    status,
    { status, code, detail: code, findings: rule === undefined ? [] : [{ rule, message: rule }] },
  ];
}

function random(size: number): Uint8Array {
  return new Uint8Array(randomBytes(size));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
