import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { fromBase64, fromHex } from '../../../../core/bytes/encoding.ts';
import { ParseError } from '../../../../core/errors.ts';
import type { HashName } from '../../../../core/tpm/constants.ts';

/** A quote that a TPM made, or a changed copy of one, with what is wrong with it. */
export interface QuoteVector {
  readonly name: string;
  readonly what: string;
  readonly failingChecks: readonly string[];
  readonly nonce: string;
  readonly asked: {
    readonly bank: HashName;
    readonly pcrs: readonly number[];
    readonly alsoBanks?: HashName[];
  };
  readonly akPublic: string;
  readonly akName: string;
  readonly attest: string;
  readonly signature: string;
  readonly pcrBlob?: string;
  readonly pcrs?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** A credential that tpm2-tools made for an EK in software. */
export interface CredentialVector {
  readonly name: string;
  readonly ekPublic: string;
  readonly ekPrivatePkcs8: string;
  readonly objectName: string;
  readonly secret: string;
  readonly blob: string;
}

/** A credential that a TPM took or refused. */
export interface TpmCredentialVector {
  readonly name: string;
  readonly verdict: 'pass' | 'fail';
  readonly ekPublic: string;
  readonly akPublic: string;
  readonly akName: string;
  readonly blob: string;
  readonly idObject: string;
  readonly encryptedSecret: string;
}

export interface CertifyVector {
  readonly name: string;
  readonly nonce: string;
  readonly signerPublic: string;
  readonly signerName: string;
  readonly objectPublic: string;
  readonly objectName: string;
  readonly attest: string;
  readonly signature: string;
}

export interface KdfVector {
  readonly kdf: 'kdfa' | 'kdfe';
  readonly hash: HashName;
  readonly key: string;
  readonly label: string;
  readonly contextU: string;
  readonly contextV: string;
  readonly bits: number;
  readonly result: string;
}

/** A TPM command and its response, recorded from tpm2-tools. */
export interface ConversationVector {
  readonly name: string;
  readonly command: string;
  readonly response: string;
}

export interface NameVector {
  readonly name: string;
  readonly parents: readonly string[];
  readonly akPublic: string;
  readonly qualifiedName: string;
}

interface VectorFiles {
  readonly quote: readonly QuoteVector[];
  readonly credential: readonly CredentialVector[];
  readonly 'credential-tpm': readonly TpmCredentialVector[];
  readonly certify: readonly CertifyVector[];
  readonly kdf: readonly KdfVector[];
  readonly conversation: readonly ConversationVector[];
  readonly names: readonly NameVector[];
}

export function loadVectors<K extends keyof VectorFiles>(file: K): VectorFiles[K] {
  return JSON.parse(readFileSync(new URL(`../../../vectors/tpm/${file}.json`, import.meta.url), 'utf8'));
}

export function vector<T extends { readonly name: string }>(vectors: readonly T[], name: string): T {
  const found = vectors.find((candidate) => candidate.name === name);
  if (!found) throw new Error(`there is no vector ${name}`);
  return found;
}

export const unhex = (text: string): Uint8Array => fromHex(text, 'vector');
export const unbase64 = (text: string): Uint8Array => fromBase64(text, 'vector');

/** A structure is whole or it is refused: every strict prefix and any suffix. */
export function expectWhole(parse: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void {
  for (let length = 0; length < bytes.length; length += 1) {
    expect(() => parse(bytes.subarray(0, length)), `prefix of ${length} bytes`).toThrow(ParseError);
  }
  expect(() => parse(Uint8Array.of(...bytes, 0)), 'a byte more').toThrow(ParseError);
}

/** The bytes with one or more replaced. */
export function patched(bytes: Uint8Array, at: number, ...replacement: readonly number[]): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy.set(replacement, at);
  return copy;
}
