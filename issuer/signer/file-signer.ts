import { hash, type KeyObject } from 'node:crypto';
import { toHex } from '../../core/bytes/encoding.ts';
import type { Certificate } from '../../core/x509/certificate.ts';
import { writeCrl } from '../../core/x509/crl.ts';
import { signingCa } from '../../platform/pki/keys.ts';
import { createNodeCaCertificate, createOcspResponderCertificate } from '../../platform/pki/node-ca.ts';
import { checkIssued, type NameSpaces } from './check-issued.ts';
import type { Signer } from './signer.ts';

/** An issuing CA whose key is in this process. @throws {RangeError} when key and certificate do not belong together */
export function fileSigner(certificate: Certificate, key: KeyObject, names: NameSpaces): Signer {
  const issuingCa = signingCa(certificate, key);
  return {
    certificate: certificate.der,
    notAfter: certificate.notAfter,
    sha256: new Uint8Array(hash('sha256', certificate.der, 'buffer')),
    async signNodeCa(request) {
      const { nodeId, serial, spki: publicKeySpki, notBefore, notAfter } = request;
      const options = { ...names, issuingCa, nodeId, serial, publicKeySpki, notBefore, notAfter };
      const made = await createNodeCaCertificate(options);
      checkIssued(made, certificate, request, names);
      return made.der;
    },
    async signCrl({ revoked, ...rest }) {
      const entries = revoked.map(({ serial, ...entry }) => ({ serialHex: toHex(serial), ...entry }));
      return writeCrl(certificate, key, { ...rest, revoked: entries });
    },
    async signResponder(request) {
      return (await createOcspResponderCertificate({ ...request, issuingCa })).der;
    },
  };
}
