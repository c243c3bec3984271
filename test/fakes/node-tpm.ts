import { hash } from 'node:crypto';
import type { NodeTpm } from '../../agent/node-tpm-port.ts';
import { nodeIdOf } from '../../core/identity.ts';
import { parseCredentialBlob } from '../../core/tpm/credential.ts';
import { spkiOf } from '../../core/tpm/key.ts';
import { SoftwareTpm } from '../../tpm-sim/fleet/software-tpm.ts';

export interface FakeNodeTpm extends NodeTpm {
  closed: number;
}

/** A TPM in software in place of a device: enrols and quotes, has no node CA key. */
export function fakeNodeTpm(certificates: readonly Uint8Array[] = []): FakeNodeTpm {
  const tpm = new SoftwareTpm(() => performance.now());
  const spki = spkiOf(tpm.ek.publicArea);
  return {
    ek: {
      public: tpm.ekPublic,
      sha256: hash('sha256', spki),
      nodeId: nodeIdOf(spki),
      template: 'L-2',
      certificates,
    },
    ak: { public: tpm.akPublic, algorithm: 'ecc256', created: true },
    encAlg: 'ecc256',
    signAlg: 'ecdsa',
    closed: 0,
    activate: async (credential) => tpm.activate(parseCredentialBlob(credential)),
    async quote({ nonce, bank, pcrs }) {
      if (bank !== 'sha256') throw new Error(`the TPM has no ${bank} bank`);
      const { attest, signature, values } = tpm.quote(nonce, pcrs);
      return { attest, signature, pcrValues: values.get(bank) ?? new Map() };
    },
    nodeCaKey: () => Promise.reject(new Error('no node CA key here')),
    destroyNodeCaKey: async () => {},
    async close() {
      this.closed += 1;
    },
  };
}
