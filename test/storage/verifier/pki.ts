import { renderPem } from '../../../core/x509/pem.ts';
import type { KeyedCertificate } from '../../../platform/pki/certify.ts';
import { createSelfSignedTlsCertificate } from '../../../platform/pki/self-signed.ts';
import {
  createServiceCa,
  issueClientCertificate,
  issueServerCertificate,
  issueSigningCertificate,
} from '../../../platform/pki/service-ca.ts';
import { RESULTS_URI, type ResultSigner } from '../../../platform/results/signer.ts';
import type { AgentTls } from '../../fakes/keylime-agent.ts';

const VALIDITY = { notBefore: new Date('2024-01-01'), notAfter: new Date('2044-01-01') };
const NAMES = { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] };

export interface VerifierPki {
  /** The service CA. */
  readonly pem: string;
  /** The verifier's certificate, with which it is also a client. */
  readonly verifier: AgentTls;
  readonly resultSigner: ResultSigner;
  admin(): Promise<AgentTls>;
}

export async function verifierPki(): Promise<VerifierPki> {
  const ca = await createServiceCa({ commonName: 'Test Service CA', ...VALIDITY });
  const verifier = await issueServerCertificate({
    ...{ ca, ...NAMES, ...VALIDITY },
    commonName: 'verifier',
    roleUri: 'urn:assay:service:verifier',
  });
  const results = await issueSigningCertificate({
    ...{ ca, ...VALIDITY },
    commonName: 'results',
    roleUri: RESULTS_URI,
  });
  return {
    resultSigner: { privateKey: results.privateKey, chain: [results.certificate] },
    pem: renderPem('CERTIFICATE', ca.certificate.der),
    verifier: toPem(verifier),
    admin: async () =>
      toPem(
        await issueClientCertificate({ ca, commonName: 'ann', roleUri: 'urn:assay:role:admin', ...VALIDITY }),
      ),
  };
}

/** A TLS identity as an agent makes it for itself. */
export async function agentTls(): Promise<AgentTls> {
  return toPem(await createSelfSignedTlsCertificate({ commonName: 'agent', ...NAMES, ...VALIDITY }));
}

function toPem({ certificate, privateKey }: KeyedCertificate): AgentTls {
  return {
    der: certificate.der,
    certificate: renderPem('CERTIFICATE', certificate.der),
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
  };
}
