import { createPublicKey, hash } from 'node:crypto';
import { fromBase64, toBase64 } from '../../core/bytes/encoding.ts';
import {
  type EnrolmentChallenge,
  type EnrolmentRequest,
  enrolmentProof,
  type NodeSelf,
} from '../../core/messages/enrolment.ts';
import type { IssueChallenge, IssuedCertificate, IssueRequest } from '../../core/messages/issue.ts';
import { renderPcrBlob } from '../../core/messages/keylime/pcr-blob.ts';
import { renderQuoteString } from '../../core/messages/keylime/quote-string.ts';
import { parseCredentialBlob } from '../../core/tpm/credential.ts';
import { spkiOf } from '../../core/tpm/key.ts';
import { marshalTpm2bPublic } from '../../core/tpm/public.ts';
import { renderPem } from '../../core/x509/pem.ts';
import { createSelfSignedTlsCertificate } from '../../platform/pki/self-signed.ts';
import type { FleetManufacturer } from './manufacturer.ts';
import { type PullAnswer, PullServer, type QuoteQuery, success, type TlsIdentity } from './pull-server.ts';
import { ServiceClient } from './service-client.ts';
import { SoftwareTpm } from './software-tpm.ts';

/** Where the services are, and whom to believe. */
export interface FleetServices {
  readonly registrar: string;
  readonly issuer: string;
  /** PEM of the service CA. */
  readonly ca: string;
}

/**
 * `honest`: a fresh quote of what the TPM holds. `replay`: the quote that answered first, again and again. `other-pcrs`:
 * a fresh quote that leaves a PCR out. `silent`: no answer.
 */
export type Behaviour = 'honest' | 'replay' | 'other-pcrs' | 'silent';

export interface FleetNodeOptions {
  readonly name: string;
  readonly services: FleetServices;
  readonly manufacturer: FleetManufacturer;
  /** Its own address on loopback. */
  readonly host: string;
  readonly port: number;
  readonly tpm?: SoftwareTpm;
}

const CHANNEL_PCR = 16;
const DAY_MS = 24 * 3600 * 1000;
const SILENCE_MS = 3600_000;

/** One simulated node: a TPM in software, a TLS identity and an address of its own, and the agent's side of the wire. */
export class FleetNode {
  readonly name: string;
  readonly host: string;
  readonly tpm: SoftwareTpm;
  readonly tls: TlsIdentity;
  behaviour: Behaviour = 'honest';
  /** Requests for quotes that came. */
  polls = 0;
  /** Revocation notices that came. */
  notices = 0;
  /** Set by its enrolment. */
  nodeId: string | undefined;
  readonly #options: FleetNodeOptions;
  readonly #ekCertificate: Uint8Array;
  readonly #server: PullServer;
  readonly #binding: Uint8Array;
  #recorded: PullAnswer | undefined;

  private constructor(
    options: FleetNodeOptions,
    tpm: SoftwareTpm,
    tls: TlsIdentity,
    ekCertificate: Uint8Array,
  ) {
    this.name = options.name;
    this.host = options.host;
    this.#options = options;
    this.tpm = tpm;
    this.tls = tls;
    this.#ekCertificate = ekCertificate;
    const publicKey = createPublicKey(tls.key).export({ type: 'spki', format: 'pem' });
    this.#binding = hash('sha256', publicKey, 'buffer');
    this.#server = new PullServer({
      tls,
      clientCa: options.services.ca,
      onQuote: (query) => this.#answer(query),
      onNotice: () => {
        this.notices += 1;
      },
    });
  }

  /** Makes the keys and certificates, and listens. */
  static async start(options: FleetNodeOptions): Promise<FleetNode> {
    const tpm = options.tpm ?? new SoftwareTpm(() => performance.now());
    const [tls, ekCertificate] = await Promise.all([
      tlsIdentity(options),
      options.manufacturer.certify(tpm.ek.publicArea),
    ]);
    const node = new FleetNode(options, tpm, tls, ekCertificate);
    await node.#server.listen(options.host, options.port);
    return node;
  }

  /** Hex SHA-256 of the EK's SubjectPublicKeyInfo: what an inventory lists. */
  get ekSha256(): string {
    return hash('sha256', spkiOf(this.tpm.ek.publicArea));
  }

  /** Registers and activates. @throws {RefusedError} */
  async enrol(joinToken?: string): Promise<NodeSelf> {
    const request: EnrolmentRequest = {
      alias: this.name,
      ekPublic: toBase64(this.tpm.ekPublic),
      ekCertificates: [toBase64(this.#ekCertificate)],
      akPublic: toBase64(this.tpm.akPublic),
      tlsCertificate: toBase64(this.tls.der),
      contact: { host: this.host, port: this.#server.port },
      ...(joinToken === undefined ? {} : { joinToken }),
    };
    return this.#with('registrar', async (registrar) => {
      const challenge = await registrar.post<EnrolmentChallenge>('/v1/enrolments', request);
      const secret = this.tpm.activate(parseCredentialBlob(fromBase64(challenge.credential, 'credential')));
      const proof = toBase64(enrolmentProof(secret, request));
      const self = await registrar.post<NodeSelf>(`/v1/enrolments/${challenge.id}/activation`, { proof });
      this.nodeId = self.nodeId;
      return self;
    });
  }

  /** Asks for node material once. @throws {RefusedError} */
  async obtainCertificate(mode: 'tpm' | 'delivered'): Promise<IssuedCertificate> {
    return this.#with('issuer', async (issuer) => {
      const { nonce } = await issuer.post<IssueChallenge>('/v1/nodes/self/challenge', {});
      const request: IssueRequest = mode === 'tpm' ? this.#certifiedKey(nonce) : { mode, nonce };
      return issuer.post<IssuedCertificate>('/v1/nodes/self/certificate', request);
    });
  }

  /** TPM Reset; connections break. */
  reboot(): void {
    this.tpm.reset();
    this.#server.disconnect();
  }

  /** Changes a PCR: what an intruder leaves, and cannot take back before the next boot. */
  tamper(pcr: number): void {
    this.tpm.extend(pcr, hash('sha256', `tampered ${this.name}`, 'buffer'));
  }

  /** A second node on a copy of this TPM's state, at another address and with another TLS key. */
  clone(at: Pick<FleetNodeOptions, 'host' | 'port'>): Promise<FleetNode> {
    const tpm = new SoftwareTpm(() => performance.now(), this.tpm.copyState());
    return FleetNode.start({ ...this.#options, ...at, tpm });
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  async #with<T>(service: 'registrar' | 'issuer', work: (client: ServiceClient) => Promise<T>): Promise<T> {
    const { services } = this.#options;
    const client = new ServiceClient({
      url: services[service],
      ca: services.ca,
      tls: this.tls,
      localAddress: this.host,
    });
    try {
      return await work(client);
    } finally {
      await client.close();
    }
  }

  #certifiedKey(nonce: string): IssueRequest {
    const { publicArea } = this.tpm.createSigningKey();
    const { attest, signature } = this.tpm.certify(fromBase64(nonce, 'nonce'), publicArea);
    return {
      mode: 'tpm',
      nonce,
      publicArea: toBase64(marshalTpm2bPublic(publicArea)),
      attest: toBase64(attest),
      signature: toBase64(signature),
    };
  }

  #answer(query: QuoteQuery): PullAnswer | Promise<PullAnswer> {
    this.polls += 1;
    switch (this.behaviour) {
      case 'silent':
        return new Promise((resolve) => setTimeout(resolve, SILENCE_MS, { status: 503, body: '{}' }).unref());
      case 'replay':
        this.#recorded ??= this.#quote(query);
        return this.#recorded;
      case 'other-pcrs':
        return this.#quote({ ...query, pcrs: query.pcrs.slice(1) });
      case 'honest':
        return this.#quote(query);
    }
  }

  #quote({ nonce, pcrs }: QuoteQuery): PullAnswer {
    this.tpm.bind(CHANNEL_PCR, this.#binding);
    const { attest, signature, values, selections } = this.tpm.quote(Buffer.from(nonce), [
      ...new Set([...pcrs, CHANNEL_PCR]),
    ]);
    const quote = renderQuoteString({ attest, signature, pcrBlob: renderPcrBlob(selections, values) });
    return success({ quote, hash_alg: 'sha256', enc_alg: 'ecc256', sign_alg: 'ecdsa' });
  }
}

async function tlsIdentity({ name, host }: FleetNodeOptions): Promise<TlsIdentity> {
  const now = Date.now();
  const { certificate, privateKey } = await createSelfSignedTlsCertificate({
    commonName: name,
    dnsNames: [],
    ipAddresses: [host],
    notBefore: new Date(now - DAY_MS),
    notAfter: new Date(now + 365 * DAY_MS),
  });
  return {
    der: certificate.der,
    certificate: renderPem('CERTIFICATE', certificate.der),
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
  };
}
