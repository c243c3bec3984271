import { hash } from 'node:crypto';
import { equalBytes, fromBase64 } from '../../core/bytes/encoding.ts';
import type { Finding } from '../../core/finding.ts';
import { parseTpm2bPublic } from '../../core/tpm/public.ts';
import type { RandomBytes } from '../../core/tpm/seed.ts';
import type { PreviousContact } from '../../platform/database/schema.ts';
import { type ClockReading, couldBeOneTpm } from '../domain/clone.ts';
import { readQuote, type StoredEvidence, storedEvidence } from '../domain/evidence.ts';
import { makeNonce } from '../domain/nonce.ts';
import type { EvidenceSource } from '../transport/evidence-source.ts';
import type { AssignedPolicy } from './policy-book.ts';
import type { NodeIdentity, NodeRecord } from './polled-node.ts';

/** A node that passed at its new contact, and when. */
interface Suspect {
  readonly record: NodeRecord;
  readonly identity: NodeIdentity;
  readonly assigned: AssignedPolicy;
  readonly reading: ClockReading;
}

interface CloneFound {
  readonly finding: Finding;
  readonly evidence: StoredEvidence;
}

/** Asks at the contact before; undefined when nobody there holds the keys any more, which is then recorded. */
export type CloneProbe = (suspect: Suspect) => Promise<CloneFound | undefined>;

export interface CloneProbeOptions {
  readonly source: EvidenceSource;
  readonly randomBytes: RandomBytes;
  readonly now: () => number;
  /** Forgets the contact before, so that it is asked once. */
  readonly clear: (record: NodeRecord) => Promise<void>;
}

export function cloneProbe(options: CloneProbeOptions): CloneProbe {
  return async (suspect) => {
    const { record } = suspect;
    const previous = record.previousContact;
    if (!previous) return undefined;
    const found = await askPrevious(options, suspect, previous);
    if (!found) await options.clear(record);
    return found;
  };
}

async function askPrevious(
  { source, randomBytes, now }: CloneProbeOptions,
  { record, identity, assigned, reading }: Suspect,
  previous: PreviousContact,
): Promise<CloneFound | undefined> {
  if (previous.tlsCertificate === null) return undefined;
  const { host, port } = previous;
  const tlsSha256 = hash('sha256', fromBase64(previous.tlsCertificate, 'tlsCertificate'), 'buffer');
  const peer = { id: `${record.id} before`, host, port, tlsSha256 };
  const akPublic = fromBase64(previous.akPublic, 'akPublic');
  const { bank } = assigned.policy.pcrs;
  const nonce = makeNonce(randomBytes);
  const asked = now();
  const answer = await source.ask(peer, {
    ...{ nonce, mask: assigned.mask, apiVersion: record.apiVersion, reportKey: false },
    // Which agent it was is not known; all have this way.
    protocol: 'keylime',
  });
  source.forget(peer.id);
  if (!answer.came) return undefined;
  const request = { nonce, bank, pcrs: assigned.pcrs, akPublic: parseTpm2bPublic(akPublic) };
  const appraisal = readQuote(answer.quote, request);
  if (!appraisal.ok) return undefined;
  const second = { clock: appraisal.quote.clockInfo, asked, answered: now() };
  // One agent that is reached at two addresses: it shows one TLS key, and one TPM.
  if (equalBytes(tlsSha256, identity.peer.tlsSha256) && couldBeOneTpm(reading, second)) return undefined;
  const message = `an agent with the keys of this node still answers at ${host}:${port}: two machines hold one identity`;
  return {
    finding: { rule: 'id.clone', message },
    evidence: storedEvidence(answer.quote, request, akPublic),
  };
}
