import { compactVerify, decodeProtectedHeader, errors, SignJWT } from 'jose';
import Value from 'typebox/value';
import { printable, toBase64 } from '../../core/bytes/encoding.ts';
import { AssayError } from '../../core/errors.ts';
import { EarClaims } from '../../core/messages/result.ts';
import type { Certificate } from '../../core/x509/certificate.ts';
import { type ResultSigner, readChain, refuseSigner } from './signer.ts';

const ALGORITHM = 'ES256';
const TYPE = 'eat+jwt';
/** Clocks of relying parties differ from ours. */
const SKEW_SECONDS = 60;
const MAX_CHARACTERS = 256 * 1024;

/** A result as JWT, ES256, with its signer's certificate in the header (RFC 7515, 4.1.6; RFC 9782). */
export function signResult(claims: EarClaims, { privateKey, chain }: ResultSigner): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: ALGORITHM, typ: TYPE, x5c: chain.map(({ der }) => toBase64(der)) })
    .sign(privateKey);
}

export interface ResultQuestion {
  /** CAs whose verifiers are believed. */
  readonly anchors: readonly Certificate[];
  readonly at: Date;
  /** What was sent along with the question. */
  readonly nonce?: string | undefined;
}

export type CheckedResult =
  | { readonly ok: true; readonly claims: EarClaims; readonly signer: string }
  | { readonly ok: false; readonly problem: string };

/** Reads a result: whether it is genuine, of now, and an answer to the nonce. @throws {AssayError} `malformed` */
export async function verifyResult(token: string, question: ResultQuestion): Promise<CheckedResult> {
  const text = token.trim();
  const { alg, x5c } = headerOf(text);
  if (alg !== ALGORITHM) {
    return refused(`it is signed with ${printable(String(alg))}, ${ALGORITHM} is expected`);
  }
  if (!x5c) return refused('its header names no certificate of its signer (x5c)');
  const chain = readChain(x5c);
  const [signer] = chain;
  const problem = refuseSigner(chain, question.anchors, question.at);
  if (!signer || problem) return refused(problem ?? 'it has no signer');
  const claims = await signedClaims(text, signer);
  if (!claims) return refused(`its signature is not by the key of ${signer.subject.text}`);
  const untimely = refuseTime(claims, question);
  return untimely ? refused(untimely) : { ok: true, claims, signer: signer.subject.text };
}

function refused(problem: string): CheckedResult {
  return { ok: false, problem };
}

function headerOf(token: string): { readonly alg?: unknown; readonly x5c?: readonly string[] } {
  try {
    if (token.length <= MAX_CHARACTERS) return decodeProtectedHeader(token);
  } catch {
    // Said below: what it should be.
  }
  const expected = 'a JWT is expected: three parts in base64url, joined by dots';
  throw new AssayError('malformed', `this is no result: ${expected}`);
}

async function signedClaims(token: string, signer: Certificate): Promise<EarClaims | undefined> {
  const verified = await compactVerify(token, signer.publicKey, { algorithms: [ALGORITHM] }).catch(
    (error: unknown) => {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    },
  );
  return verified && claimsOf(verified.payload);
}

function claimsOf(payload: Uint8Array): EarClaims {
  let claims: unknown;
  try {
    claims = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch {
    throw new AssayError('malformed', 'this is no result: it holds no JSON');
  }
  if (Value.Check(EarClaims, claims)) return claims;
  const [first] = Value.Errors(EarClaims, claims);
  const where = first?.instancePath || 'the token';
  throw new AssayError('malformed', `this is no result for a node: ${where} ${first?.message ?? 'is wrong'}`);
}

function refuseTime({ iat, exp, eat_nonce }: EarClaims, { at, nonce }: ResultQuestion): string | undefined {
  const now = at.getTime() / 1000;
  if (exp + SKEW_SECONDS <= now) return `it ended at ${shownTime(exp)}`;
  if (iat - SKEW_SECONDS > now) return `it was made at ${shownTime(iat)}, which is still to come`;
  if (nonce === undefined || eat_nonce === nonce) return undefined;
  return eat_nonce === undefined
    ? 'it was asked for without a nonce: it may be an answer to somebody else'
    : `it answers the nonce ${eat_nonce}, not ${printable(nonce)}`;
}

function shownTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}
