import { createPublicKey, type KeyObject } from 'node:crypto';
import Type, { type Static } from 'typebox';
import { DURATION_PATTERN, parseDuration } from '../core/duration.ts';
import { AssayError } from '../core/errors.ts';
import { parseListen } from '../platform/config.ts';
import type { PolicySigners } from '../policies/language/signed.ts';
import type { HistoryRetention } from './history-sweep.ts';
import { WebhookSection } from './webhooks/config.ts';

const Duration = (standard: string, description: string) =>
  Type.Optional(Type.String({ pattern: DURATION_PATTERN, default: standard, description }));
const Count = (standard: number, minimum: number, description: string) =>
  Type.Optional(Type.Integer({ minimum, default: standard, description }));

/** The section `verifier` of assay.yaml. */
export const VerifierSection = Type.Object(
  {
    listen: Type.String(),
    url: Type.String({ pattern: '^https://[^\\s/]+$' }),
    dial: Type.Array(Type.String(), {
      minItems: 1,
      description: 'CIDR ranges where agents may be; nothing else is ever connected to',
    }),
    concurrency: Count(500, 1, 'Attestations at the same time'),
    'concurrent-handshakes': Count(64, 1, 'Of these, those that open a connection'),
    timeout: Duration('10s', 'How long an agent has for its whole answer'),
    'max-answer-bytes': Count(64 * 1024 * 1024, 4096, 'Longest answer of an agent'),
    lease: Duration('15s', 'After how long another verifier takes over the nodes of one that died'),
    history: Type.Optional(
      Type.Object(
        {
          fails: Duration('365d', 'How long fails are kept, with their evidence'),
          passes: Duration('90d', 'How long passes and undecided verdicts are kept'),
        },
        { additionalProperties: false, description: 'The newest verdict of each node stays, however old' },
      ),
    ),
    'policy-signers': Type.Optional(
      Type.Record(
        Type.String({ pattern: '^(\\*|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$' }),
        Type.Array(Type.String(), { minItems: 1 }),
        {
          additionalProperties: false,
          description:
            "PEM of the keys that may sign policies, by group; '*' for the others. Without it, unsigned ones count",
        },
      ),
    ),
    webhooks: Type.Optional(Type.Array(WebhookSection, { maxItems: 100 })),
    'keep-evidence-every': Count(1, 0, "Of a node's passes the n-th has its evidence kept; 0: none"),
  },
  { additionalProperties: false },
);
export type VerifierSection = Static<typeof VerifierSection>;

export interface VerifierConfig {
  readonly listen: { readonly host: string; readonly port: number };
  readonly url: string;
  readonly dial: readonly string[];
  readonly concurrency: number;
  readonly coldConcurrency: number;
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
  readonly leaseMs: number;
  readonly evidenceEvery: number;
  readonly history: HistoryRetention;
  readonly policySigners: PolicySigners;
}

const SHORTEST_LEASE_MS = 500;

/** The section with its defaults and with numbers for texts. @throws {AssayError} `invalid-config` */
export function resolveVerifierConfig(section: VerifierSection): VerifierConfig {
  const leaseMs = parseDuration(section.lease ?? '15s');
  if (leaseMs < SHORTEST_LEASE_MS) {
    throw new AssayError('invalid-config', `verifier.lease: ${section.lease} is shorter than 500ms`);
  }
  return {
    listen: parseListen(section.listen),
    url: section.url,
    dial: section.dial,
    concurrency: section.concurrency ?? 500,
    coldConcurrency: section['concurrent-handshakes'] ?? 64,
    timeoutMs: parseDuration(section.timeout ?? '10s'),
    maxAnswerBytes: section['max-answer-bytes'] ?? 64 * 1024 * 1024,
    leaseMs,
    evidenceEvery: section['keep-evidence-every'] ?? 1,
    policySigners: readSigners(section['policy-signers'] ?? {}),
    history: {
      failsMs: parseDuration(section.history?.fails ?? '365d'),
      passesMs: parseDuration(section.history?.passes ?? '90d'),
    },
  };
}

function readSigners(signers: Readonly<Record<string, readonly string[]>>): PolicySigners {
  return new Map(
    Object.entries(signers).map(([group, keys]) => [group, keys.map((pem) => readSigner(group, pem))]),
  );
}

function readSigner(group: string, pem: string): KeyObject {
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === 'ec' || key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // Said below: what it is not.
  }
  throw new AssayError(
    'invalid-config',
    `verifier.policy-signers.${group}: PEM of an ECDSA or Ed25519 public key is expected`,
  );
}
