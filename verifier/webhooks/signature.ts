import { createHmac } from 'node:crypto';
import { AssayError } from '../../core/errors.ts';

const PREFIX = 'whsec_';
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const SHORTEST_BYTES = 24;
const LONGEST_BYTES = 64;

/** The key in a secret of the Standard Webhooks form, `whsec_` and base64 of 24 to 64 bytes. @throws {AssayError} `invalid-config` */
export function parseSecret(text: string, where: string): Uint8Array {
  const body = text.trim().replace(PREFIX, '');
  const key = Buffer.from(body, 'base64');
  if (BASE64.test(body) && key.length >= SHORTEST_BYTES && key.length <= LONGEST_BYTES) return key;
  throw new AssayError(
    'invalid-config',
    `${where}: ${PREFIX} and base64 of ${SHORTEST_BYTES} to ${LONGEST_BYTES} bytes are expected, as by: echo "${PREFIX}$(openssl rand -base64 32)"`,
  );
}

/**
 * The headers by which a receiver knows who sent a message and that it is new (Standard Webhooks): one signature for
 * each key, so that a key can be replaced.
 *
 * @param id the same for every attempt to deliver one message
 * @param at of this attempt
 */
export function signedHeaders(
  id: string,
  at: Date,
  body: string,
  keys: readonly Uint8Array[],
): Record<string, string> {
  const timestamp = String(Math.floor(at.getTime() / 1000));
  const signatures = keys.map((key) => {
    const mac = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
    return `v1,${mac}`;
  });
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}
