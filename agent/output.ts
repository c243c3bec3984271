import { printable } from '../core/bytes/encoding.ts';
import { AssayError } from '../core/errors.ts';
import type { AgentEvent } from './events.ts';

/** Exit codes of `assay-agent`: the same as those of `assay`. */
export const EXIT = { ok: 0, no: 1, usage: 2, refused: 3, unavailable: 4, internal: 70 } as const;

export const EXIT_HELP =
  'Exit codes: 0 done; 1 a check failed; 2 wrong command line or configuration; 3 refused by a service; 4 TPM or service not reachable; 70 internal error.';

export function exitCodeOf(error: unknown): number {
  if (!(error instanceof AssayError)) return EXIT.internal;
  if (error.code === 'invalid-config') return EXIT.usage;
  if (error.code === 'unavailable' || error.code === 'rate-limited') return EXIT.unavailable;
  return EXIT.refused;
}

/** An error with its findings, a line each. */
export function renderError(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const details = error instanceof AssayError ? error.details : [];
  const lines = details
    .filter((detail) => !message.includes(detail.message))
    .map(({ rule, message: text }) => `  ${printable(rule === undefined ? text : `${rule}: ${text}`)}`);
  return [`error: ${message.split('\n').map(printable).join('\n')}`, ...lines].join('\n');
}

/** What a person who runs `join` should see of a step; nothing for the rest. */
export function renderStep(event: AgentEvent): string | undefined {
  switch (event.step) {
    case 'ek-checked': {
      const certificate = event.hasCertificate
        ? `with certificate and ${event.chainLength} of its issuers`
        : 'WITHOUT certificate: an inventory entry or a person must admit it';
      return `TPM      endorsement key ${event.template}, ${certificate}\n         sha256 ${event.ekSha256}`;
    }
    case 'ak-ready':
      return `TPM      attestation key ${event.algorithm} ${event.created ? 'made' : 'loaded'}`;
    case 'activated':
      return `enrolled node ${event.nodeId}, record version ${event.version}, ${event.state}`;
    default:
      return undefined;
  }
}
