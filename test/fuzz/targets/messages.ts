import { generateKeyPairSync } from 'node:crypto';
import { parseDsse, renderDsse } from '../../../core/dsse.ts';
import { parseEvidence, renderEvidenceHeader } from '../../../core/messages/evidence.ts';
import { parseCertificate } from '../../../core/x509/certificate.ts';
import { parseCrl } from '../../../core/x509/crl.ts';
import { parseOcspRequest } from '../../../core/x509/ocsp-request.ts';
import { parsePemBundle } from '../../../core/x509/pem.ts';
import { openBundle, sealBundle } from '../../../policies/bundle/format.ts';
import { realBundle } from '../../unit/policies/bundle/real.ts';
import { bytesOf, target, textOf, vectorFile, vectorJson } from './target.ts';

const PEM_WORDS = ['-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----', '\n', '='];
const HEADER = { quote: 'r', firmware: null, userspace: 'same', ima: { entry: 3, offset: 9 } } as const;
const MANUFACTURERS = 8;

function certificates(): readonly Uint8Array[] {
  const all = vectorJson<readonly { readonly file: string }[]>('x509/manufacturers.json');
  const der = all.slice(0, MANUFACTURERS).map(({ file }) => new Uint8Array(Buffer.from(file, 'base64')));
  return [...der, vectorFile('evidence/direct-clean-1/ek_rsa2048_cert.der')];
}

function envelope(): Uint8Array {
  const signatures = [{ keyid: '', sig: bytesOf('s') }];
  return bytesOf(renderDsse({ payloadType: 'x', payload: bytesOf('{}'), signatures }));
}

function bundle(): Uint8Array {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return bytesOf(sealBundle(realBundle(), privateKey, publicKey));
}

export const MESSAGE_TARGETS = [
  target('certificate', certificates, (bytes) => parseCertificate(bytes)),
  target('certificate-lenient', certificates, (bytes) => parseCertificate(bytes, { mode: 'lenient' })),
  target('ocsp-request', () => [vectorFile('x509/ocsp-request.der')], parseOcspRequest),
  target('crl', () => [vectorFile('x509/crl.der')], parseCrl),
  target('pem', () => [vectorFile('evidence/ca/root.pem')], parsePemBundle, { words: PEM_WORDS }),
  target('evidence', () => [renderEvidenceHeader(HEADER)], parseEvidence),
  target(
    'dsse',
    () => [envelope()],
    (bytes) => parseDsse(textOf(bytes)),
  ),
  target(
    'bundle',
    () => [bundle()],
    (bytes) => openBundle(textOf(bytes)),
  ),
];
