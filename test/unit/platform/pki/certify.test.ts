// @peculiar/x509 needs it before its own import.
import 'reflect-metadata';
import { X509Certificate, X509CertificateGenerator } from '@peculiar/x509';
import { describe, expect, test } from 'vitest';
import type { Certificate } from '../../../../core/x509/certificate.ts';
import { DerReader } from '../../../../core/x509/der.ts';
import { readInteger } from '../../../../core/x509/der-values.ts';
import { randomSerial } from '../../../../platform/pki/keys.ts';
import { createNodeCaCertificate, createOcspResponderCertificate } from '../../../../platform/pki/node-ca.ts';
import { NODE, nodePki } from '../../core/x509/node-pki.ts';

const { root, issuing, nodeCa, leaf } = await nodePki();
const { notBefore, notAfter } = nodeCa;
const made: Readonly<Record<string, Certificate>> = {
  'a root': root,
  'an issuing CA': issuing.certificate,
  'a node CA': nodeCa,
  'a node CA that says where its status can be asked': await createNodeCaCertificate({
    ...NODE,
    issuingCa: issuing,
    publicKeySpki: nodeCa.spki,
    serial: randomSerial(),
    notBefore,
    notAfter,
    revocation: { crl: 'http://crl.example.test/web.crl', ocsp: 'http://ocsp.example.test/' },
  }),
  'a leaf': leaf,
  'an OCSP responder': await createOcspResponderCertificate({
    issuingCa: issuing,
    spki: nodeCa.spki,
    notBefore,
    notAfter,
  }),
};

/** What the generator of @peculiar/x509 makes of the facts and the signature in a certificate. */
async function generated(certificate: Certificate): Promise<Uint8Array> {
  const read = new X509Certificate(certificate.der);
  const again = await X509CertificateGenerator.create({
    serialNumber: read.serialNumber,
    subject: read.subjectName,
    issuer: read.issuerName,
    notBefore: read.notBefore,
    notAfter: read.notAfter,
    publicKey: read.publicKey,
    extensions: read.extensions,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    signature: fixedLength(new Uint8Array(read.signature)),
  });
  return new Uint8Array(again.rawData);
}

/** r and s one behind the other, as WebCrypto has them. */
function fixedLength(signature: Uint8Array): Buffer {
  const reader = DerReader.over(signature, 'Ecdsa-Sig-Value').sequence('value');
  const [r, s] = [readInteger(reader, 'r'), readInteger(reader, 's')];
  return Buffer.concat([r, s].map((value) => Buffer.concat([Buffer.alloc(32), value]).subarray(-32)));
}

describe('what we write is byte for byte what the generator of @peculiar/x509 writes', () => {
  for (const [what, certificate] of Object.entries(made)) {
    test(what, async () => expect(await generated(certificate)).toEqual(certificate.der));
  }
});
