import { hash } from 'node:crypto';
import { AssayError } from '../../core/errors.ts';

/** 256 bits: nobody guesses one, so a hash without salt is enough to keep. */
export const TOKEN_BYTES = 32;

const TOKEN = /^assay_([A-Za-z0-9_-]{43})$/;

/** The text of a join token; the prefix lets scanners for leaked secrets find it. */
export function renderToken(secret: Uint8Array): string {
  return `assay_${Buffer.from(secret).toString('base64url')}`;
}

/** What is kept of a token. */
export function tokenHash(secret: Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha256', secret, 'buffer'));
}

/**
 * The hash of a token that a node sent.
 *
 * @throws {AssayError} `invalid-request` for a text that is no token; the text is not repeated
 */
export function tokenHashOf(text: string): Uint8Array {
  const encoded = TOKEN.exec(text)?.[1] ?? '';
  const secret = Buffer.from(encoded, 'base64url');
  if (secret.length !== TOKEN_BYTES || renderToken(secret) !== text) {
    throw new AssayError(
      'invalid-request',
      'the join token is not one of ours: copy all of it, from "assay_" to its end',
    );
  }
  return tokenHash(secret);
}

/** The line that joins a node, to be pasted into its shell. */
export function joinCommand(registrarUrl: string, token: string, caPin: string): string {
  return `assay-agent join ${registrarUrl} --token ${token} --ca ${caPin}`;
}
