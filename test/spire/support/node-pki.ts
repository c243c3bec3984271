import { writeFile } from 'node:fs/promises';
import { renderPem } from '../../../core/x509/pem.ts';
import { createIssuingCa, createNodeRoot } from '../../../platform/pki/node-ca.ts';
import type { X509popMaterial } from '../../../platform/spire/attest.ts';
import { type EvasionPki, minutes } from '../../../platform/spire/evasion-node.ts';

const HOUR = 60;

/** A node PKI of our profile, as `assay init` makes it, in memory; servers trust its issuing CA. */
export async function nodePki(trustDomain: string): Promise<{ pki: EvasionPki; anchor: string }> {
  const at = new Date();
  const root = await createNodeRoot({ commonName: 'Nodes', ...minutes(at, -HOUR, 10 * HOUR) });
  const issuingCa = await createIssuingCa({ root, group: 'web', ...minutes(at, -HOUR, 5 * HOUR) });
  const pki = { issuingCa, trustDomain, nodesDomain: `nodes.${trustDomain}`, above: [], at };
  return { pki, anchor: renderPem('CERTIFICATE', issuingCa.certificate.der) };
}

/** As assay-agent leaves it for spire-agent: certificates and key in one file. */
export async function writeMaterial(file: string, { chain, privateKey }: X509popMaterial): Promise<string> {
  const certificates = chain.map((der) => renderPem('CERTIFICATE', der));
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
  await writeFile(file, [...certificates, key].join(''), { mode: 0o600 });
  return file;
}
