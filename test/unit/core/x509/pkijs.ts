import { Worker } from 'node:worker_threads';
import { Certificate, CertificateChainValidationEngine, CertificateRevocationList } from 'pkijs';
import type { Chain, Verdict } from './chains.ts';

/** A chain as pkijs takes it. */
export interface PkijsRequest {
  /** Intermediates, then the leaf: it takes the last one for the leaf. */
  readonly certificates: readonly Uint8Array[];
  readonly anchors: readonly Uint8Array[];
  readonly at: Date;
  readonly crls?: readonly Uint8Array[];
}

export interface PkijsVerdict {
  readonly accepts: Verdict;
  /** Why it refuses. */
  readonly message: string;
}

/** Many times what the slowest answer takes. */
const PATIENCE_MS = 4_000;

/** The verdict of CertificateChainValidationEngine. Does not return for CAs in a circle: see pkijsPatiently. */
export async function askPkijs(request: PkijsRequest): Promise<PkijsVerdict> {
  const { certificates, anchors, at, crls = [] } = request;
  try {
    const engine = new CertificateChainValidationEngine({
      certs: certificates.map((der) => Certificate.fromBER(bufferOf(der))),
      trustedCerts: anchors.map((der) => Certificate.fromBER(bufferOf(der))),
      crls: crls.map((der) => CertificateRevocationList.fromBER(bufferOf(der))),
      checkDate: at,
    });
    const { result, resultMessage } = await engine.verify();
    return { accepts: result, message: resultMessage };
  } catch (error) {
    return { accepts: false, message: String(error) };
  }
}

/** The same in a thread that is ended when it does not answer. */
export async function pkijsPatiently(request: PkijsRequest): Promise<PkijsVerdict> {
  const worker = new Worker(new URL('./pkijs-worker.ts', import.meta.url), { workerData: request });
  const answer = new Promise<PkijsVerdict>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    setTimeout(() => resolve({ accepts: 'no answer', message: '' }), PATIENCE_MS).unref();
  });
  try {
    return await answer;
  } finally {
    await worker.terminate();
  }
}

export function pkijsRequest({ leaf, intermediates, anchors, at }: Chain): PkijsRequest {
  return {
    certificates: [...intermediates, leaf].map(({ der }) => der),
    anchors: anchors.map(({ der }) => der),
    at,
  };
}

/** A copy: asn1js reads the whole buffer behind a view. */
export function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
