import { hash } from 'node:crypto';
import type { TpmsClockInfo } from '../../core/tpm/attest.ts';
import type { HashName } from '../../core/tpm/constants.ts';
import { parseTpm2bPublic, type TpmtPublic } from '../../core/tpm/public.ts';
import type {
  EnrolmentProtocol,
  Outcome,
  PreviousContact,
  Standing,
} from '../../platform/database/schema.ts';
import type { PinnedPeer } from '../../platform/http/pinned-pool.ts';
import type { ChannelBinding, ExpectedChannel } from '../../policies/rules/channel.ts';
import { channelKeyOf, channelValue } from '../domain/channel.ts';
import type { ImaProgress } from '../domain/ima-progress.ts';
import type { RecoveryProgress } from '../domain/recovery.ts';
import { NOT_IN_HEAP } from '../scheduler/due-heap.ts';
import type { Scheduled } from '../scheduler/scheduler.ts';
import type { KnownLogs } from '../transport/evidence-source.ts';
import type { Failure } from './judgement.ts';

/** What the registrar recorded of a node. A new version is a new object. */
export interface NodeRecord {
  readonly id: string;
  readonly version: number;
  readonly alias: string;
  readonly group: string;
  readonly shard: number;
  readonly apiVersion: string;
  readonly host: string;
  readonly port: number;
  /** TPM2B_PUBLIC. */
  readonly akPublic: Uint8Array;
  /** DER; null for a stock agent without TLS. */
  readonly tlsCertificate: Uint8Array | null;
  readonly previousContact: PreviousContact | null;
  /** Null: enrolled before it was recorded. */
  readonly protocol: EnrolmentProtocol | null;
}

/** What is recorded of a node's trust, as this process last read or wrote it. The row itself decides. */
export interface TrustSnapshot {
  readonly epoch: number;
  readonly standing: Standing;
  readonly nodeVersion: number;
  readonly outcome: Outcome | null;
  /** Rule codes and PCRs of the last verdict: two verdicts with the same are not two changes. */
  readonly reasonKey: string;
  readonly policy: string | null;
  readonly clock: TpmsClockInfo | undefined;
  readonly ima: ImaProgress | undefined;
  /** By this process's clock: to tell events apart, never to decide on trust. */
  readonly trustedUntil: number;
}

/** What is made once of a record, and used in every poll. */
export interface NodeIdentity {
  readonly peer: PinnedPeer;
  readonly akPublic: TpmtPublic;
  readonly binding: ChannelBinding;
  /** @param reportedKey PEM of the key that came with the quote; without it, undefined where that key is the one */
  channel(bank: HashName, reportedKey: string | undefined): ExpectedChannel | undefined;
}

/** A node that this process polls. */
export interface PolledNode extends Scheduled {
  record: NodeRecord;
  trust: TrustSnapshot;
  /** Made at the first poll; undefined for a node that cannot be polled. */
  identity: NodeIdentity | undefined;
  /** Polls in a row that decided nothing. */
  failures: number;
  /** The clock of the last quote that was accepted, perhaps not stored yet. */
  clock: TpmsClockInfo | undefined;
  /** The same of its measurement list. */
  ima: ImaProgress | undefined;
  /** Boot logs that it need not send again. */
  boot: KnownLogs | undefined;
  /** A fail that the database has not taken yet. */
  unrecorded: Failure | undefined;
  /** While it is banned: passes in a row, by the rules of its policy. */
  recovery: RecoveryProgress;
  /** Somebody wants the next evidence whole, and kept. */
  whole: boolean;
  /** Since this process took it over. */
  passes: number;
}

export function polledNode(record: NodeRecord, trust: TrustSnapshot): PolledNode {
  return {
    record,
    trust,
    identity: undefined,
    failures: 0,
    clock: trust.clock,
    ima: trust.ima,
    boot: undefined,
    unrecorded: undefined,
    recovery: new Map(),
    whole: false,
    passes: 0,
    due: 0,
    heapIndex: NOT_IN_HEAP,
    inFlight: false,
    waiting: false,
    again: false,
    gone: false,
    warm: false,
  };
}

/** @throws {ParseError} when the record's AK does not parse, which the registrar never writes */
export function identityOf(record: NodeRecord): NodeIdentity | undefined {
  const { id, host, port, tlsCertificate, protocol } = record;
  if (!tlsCertificate) return undefined;
  return {
    peer: { id, host, port, tlsSha256: hash('sha256', tlsCertificate, 'buffer') },
    akPublic: parseTpm2bPublic(record.akPublic),
    ...(protocol === 'keylime' ? REPORTED_KEY : tlsKey(tlsCertificate)),
  };
}

type Channel = Pick<NodeIdentity, 'binding' | 'channel'>;

const REPORTED_KEY: Channel = {
  binding: 'reported-key',
  channel: (bank, key) =>
    key === undefined ? undefined : { binding: 'reported-key', value: channelValue(bank, key) },
};

function tlsKey(tlsCertificate: Uint8Array): Channel {
  const binding = 'tls-key';
  const known = new Map<HashName, ExpectedChannel>();
  return {
    binding,
    channel(bank) {
      const expected = known.get(bank) ?? {
        binding,
        value: channelValue(bank, channelKeyOf(tlsCertificate)),
      };
      known.set(bank, expected);
      return expected;
    },
  };
}
