import type { StoredEvidence } from '../../../../verifier/domain/evidence.ts';
import type { Extension, Failure, Undecided } from '../../../../verifier/polling/judgement.ts';
import type { NodeRecord, TrustSnapshot } from '../../../../verifier/polling/polled-node.ts';

/** Now, in these tests. */
export const NOW = 10_000;
export const CLOCK = { clock: 5n, resetCount: 1, restartCount: 0, safe: true };

export const RECORD: NodeRecord = {
  ...{ id: 'n', version: 2, alias: 'a', group: 'g', shard: 3, apiVersion: '2.6', host: 'h', port: 1 },
  ...{ akPublic: new Uint8Array(), tlsCertificate: null, previousContact: null, protocol: null },
};

const EVIDENCE: StoredEvidence = {
  ...({ format: 'keylime-quote/1', bank: 'sha256', binding: 'tls-key' } as const),
  ...{ nonce: '', pcrs: [], akPublic: '', channel: '', quote: '' },
};

const BASIS = { record: RECORD, epoch: 4, askedAt: NOW - 10, policy: { name: 'p', version: 1 } };

export const PASS: Extension = {
  ...({ ...BASIS, kind: 'extend', outcome: 'pass', findings: [] } as const),
  ...{
    trustForMs: 60_000,
    clock: CLOCK,
    rebooted: false,
    resumed: false,
    evidence: EVIDENCE,
    passNumber: 0,
    wanted: false,
  },
};

export const SILENCE: Undecided = {
  ...({ ...BASIS, kind: 'undecided' } as const),
  findings: [{ rule: 'node.unreachable', message: '' }],
};

export const FAILURE: Failure = {
  ...({ ...BASIS, kind: 'fail', effect: 'stop' } as const),
  ...{ findings: [{ rule: 'pcr.value', pcr: 1, message: '' }], evidence: EVIDENCE },
};

export const TRUSTED: TrustSnapshot = {
  ...({ epoch: 4, standing: 'passing', nodeVersion: 2, outcome: 'pass' } as const),
  ...{ reasonKey: '', policy: 'p@1', clock: CLOCK, ima: undefined, trustedUntil: NOW + 1000 },
};
