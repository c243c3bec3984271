import { hash } from 'node:crypto';
import { toHex } from './bytes/encoding.ts';
import { ParseError } from './errors.ts';

/** How many parts the nodes are shared out in between verifier processes. Stored rows depend on it. */
export const SHARD_COUNT = 64;

const NODE_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/**
 * The id of a node: a UUID of version 8 (RFC 9562, 5.8) whose free bits are those of the SHA-256 of its EK's
 * SubjectPublicKeyInfo, each bit at its own place. Made from the key and not from the TPMT_PUBLIC, whose attributes
 * and policy another could choose anew around the same key.
 *
 * @param spkiDer DER, as node:crypto exports it: one key must have one encoding
 */
export function nodeIdOf(spkiDer: Uint8Array): string {
  const bytes = hash('sha256', spkiDer, 'buffer').subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return toHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** Whether `text` is a node id in its one spelling. */
export function isNodeId(text: string): boolean {
  return NODE_ID.test(text);
}

/** @throws {ParseError} unless `text` is a node id in its one spelling */
export function parseNodeId(text: string): string {
  if (!isNodeId(text)) throw new ParseError('node id', 0, 'is not a lower-case UUID of version 8');
  return text;
}

/** Which share of the nodes an id belongs to: its first 32 bits, modulo SHARD_COUNT. */
export function shardOf(nodeId: string): number {
  return Number.parseInt(parseNodeId(nodeId).slice(0, 8), 16) % SHARD_COUNT;
}
