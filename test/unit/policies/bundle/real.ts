import { readFileSync } from 'node:fs';
import { fromHex, toBase64, toHex } from '../../../../core/bytes/encoding.ts';
import { nodeIdOf } from '../../../../core/identity.ts';
import type { EvidenceBundle } from '../../../../core/messages/bundle.ts';
import { parsePcrBlob } from '../../../../core/messages/keylime/pcr-blob.ts';
import { spkiOf } from '../../../../core/tpm/key.ts';
import { parseTpm2bPublic } from '../../../../core/tpm/public.ts';
import { parsePemBundle } from '../../../../core/x509/pem.ts';

const at = (name: string) => new URL(`../../../vectors/evidence/${name}`, import.meta.url);
const bytesOf = (name: string) => new Uint8Array(readFileSync(at(name)));

/** The evidence of a virtual machine that was started with -kernel. */
export const REAL = (name: string): Uint8Array => bytesOf(`direct-clean-1/${name}`);

const NONCE = fromHex(Buffer.from(REAL('nonce')).toString('utf8').trim(), 'nonce');

/** DER, from the EK certificate's issuer to the root. */
export const EK_CHAIN = ['ca/intermediate.pem', 'ca/root.pem'].flatMap((name) =>
  parsePemBundle(bytesOf(name)),
);

const values = parsePcrBlob(REAL('quote.pcrs')).values.get('sha256') ?? new Map<number, Uint8Array>();
const hexOf = (pcr: number) => toHex(values.get(pcr) ?? new Uint8Array());

/** Accepts this machine: its registers and its log. */
const POLICY = policyOf(4, hexOf(4));

export function policyOf(pcr: number, value: string): string {
  return `assay: policy/v1
name: real
freshness: { interval: 30s, trust-for: 5m }
reaction: ban
pcrs:
  bank: sha256
  require: 0-9
  values: { ${pcr}: { any-of: ['${value}'] } }
boot: { profile: direct-kernel, secure-boot: any, option-roms: any, applications: any, files: any, command-line: any }
`;
}

/** A bundle as a verifier would make it of that evidence. */
export function realBundle(changes: Partial<EvidenceBundle> = {}): EvidenceBundle {
  const ekPublic = REAL('ek.pub');
  return {
    format: 'assay-evidence/1',
    verifier: { url: 'https://verifier.example', version: '1.0.0', chain: [] },
    judgedAt: '2026-11-23T12:00:00.000Z',
    node: {
      id: nodeIdOf(spkiOf(parseTpm2bPublic(ekPublic))),
      akPublic: toBase64(REAL('ak.pub')),
      ekPublic: toBase64(ekPublic),
      ekCertificate: toBase64(REAL('ek_rsa2048_cert.der')),
      ekChain: EK_CHAIN.map(toBase64),
    },
    asked: { nonce: toBase64(NONCE), bank: 'sha256', pcrs: [...values.keys()], channel: null },
    quote: {
      attest: toBase64(REAL('quote.msg')),
      signature: toBase64(REAL('quote.sig')),
      pcrs: { sha256: Object.fromEntries([...values].map(([pcr, value]) => [pcr, toHex(value)])) },
    },
    logs: {
      firmware: toBase64(REAL('binary_bios_measurements')),
      ima: {
        form: 'binary',
        firstEntry: 0,
        bytes: toBase64(REAL('binary_runtime_measurements')),
        complete: true,
      },
    },
    history: {},
    policy: { name: 'real', version: 1, document: POLICY },
    sets: [],
    verdict: { outcome: 'pass', reasons: [] },
    ...changes,
  };
}
