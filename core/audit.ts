import { hash } from 'node:crypto';

/** An entry of the audit log, before it is chained. */
export interface AuditEntry {
  readonly seq: number;
  /** RFC 3339 with milliseconds, UTC. */
  readonly at: string;
  /** Who: `admin:NAME`, `node:ID`, `service:NAME`. */
  readonly actor: string;
  /** What: `node.approve`, `policy.add`, `trust.fail` … */
  readonly act: string;
  /** To what. */
  readonly subject: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** What stands before the first entry. */
export const AUDIT_ROOT = new Uint8Array(32);

/**
 * The hash that the next entry carries: over everything in this one and the hash before it. Changing, removing or
 * inserting an entry breaks the chain from there on (rule `audit.chain`).
 */
export function auditHash(previous: Uint8Array, entry: AuditEntry): Uint8Array {
  const text = canonicalJson([
    'assay audit v1',
    Buffer.from(previous).toString('hex'),
    entry.seq,
    entry.at,
    entry.actor,
    entry.act,
    entry.subject,
    entry.detail,
  ]);
  return new Uint8Array(hash('sha256', text, 'buffer'));
}

/** JSON with sorted keys: the database may give keys back in another order. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  const members = entries
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`);
  return `{${members.join(',')}}`;
}
