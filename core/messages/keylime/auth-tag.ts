import { createHmac } from 'node:crypto';
import { equalBytes, toBase64 } from '../../bytes/encoding.ts';

/**
 * The proof with which an agent of the Keylime family activates: HMAC-SHA384 over its id, in hex. The key
 * is the base64 text of the secret, not the secret itself. It covers nothing but the id.
 */
export function renderAuthTag(secret: Uint8Array, agentId: string): string {
  return createHmac('sha384', toBase64(secret)).update(agentId, 'utf8').digest('hex');
}

/** Whether `authTag` is the proof for `secret`, in a time that does not depend on where they differ. */
export function isAuthTag(authTag: string, secret: Uint8Array, agentId: string): boolean {
  return equalBytes(Buffer.from(authTag), Buffer.from(renderAuthTag(secret, agentId)));
}
