import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createSelfSignedTlsCertificate } from '../../../../platform/pki/self-signed.ts';
import { evaluateChannel } from '../../../../policies/rules/channel.ts';
import { SoftwareTpm } from '../../../../tpm-sim/fleet/software-tpm.ts';
import { channelValue } from '../../../../verifier/domain/channel.ts';
import { identityOf } from '../../../../verifier/polling/polled-node.ts';
import { RECORD } from '../polling/samples.ts';

const sha256 = (...parts: readonly (string | Uint8Array)[]) =>
  parts.reduce((digest, part) => digest.update(part), createHash('sha256')).digest();

const { akPublic } = new SoftwareTpm(() => 0);
const tls = await createSelfSignedTlsCertificate({
  ...{ commonName: 'n', dnsNames: ['n'], ipAddresses: [] },
  ...{ notBefore: new Date('2026-01-01'), notAfter: new Date('2027-01-01') },
});
const tlsPem = String(createPublicKey(tls.privateKey).export({ type: 'spki', format: 'pem' }));
const payloadPem = String(
  generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' }),
);
const record = { ...RECORD, akPublic, tlsCertificate: tls.certificate.der };
const pcr16 = (pem: string) => new Map([[16, new Uint8Array(sha256(new Uint8Array(32), sha256(pem)))]]);

test('quote.channel: PCR 16 is zero, extended once with the hash of the PEM text', () => {
  expect(channelValue('sha256', 'key\n')).toEqual(sha256(new Uint8Array(32), sha256('key\n')));
  expect(channelValue('sha384', 'key\n')).toHaveLength(48);
});

describe.each([null, 'assay'] as const)('a node with the protocol %s', (protocol) => {
  const identity = identityOf({ ...record, protocol });

  test('quote.channel: PCR 16 must name the TLS key, whatever key is reported', () => {
    const expected = identity?.channel('sha256', payloadPem);
    if (!expected) throw new Error('a TLS key is always known');
    expect(identity?.binding).toBe('tls-key');
    expect(evaluateChannel(pcr16(tlsPem), expected)).toEqual([]);
    expect(evaluateChannel(pcr16(payloadPem), expected)).toMatchObject([
      { rule: 'quote.channel', pcr: 16, message: expect.stringContaining("the node's TLS key") },
    ]);
    expect(evaluateChannel(new Map(), expected)).toMatchObject([
      { rule: 'quote.channel', message: expect.stringContaining('PCR 16 is missing') },
    ]);
  });
});

describe('a node of Keylime', () => {
  const identity = identityOf({ ...record, protocol: 'keylime' });

  test('quote.channel: PCR 16 must name the reported key, and a fail says what that is worth', () => {
    const expected = identity?.channel('sha256', payloadPem);
    if (!expected) throw new Error('the key was reported');
    expect(expected.binding).toBe('reported-key');
    expect(evaluateChannel(pcr16(payloadPem), expected)).toEqual([]);
    expect(evaluateChannel(pcr16(tlsPem), expected)).toMatchObject([
      { rule: 'quote.channel', message: expect.stringContaining('not bound to the TLS connection') },
    ]);
  });

  test('quote.channel: each answer is compared with the key that came with it', () => {
    const [first, second] = [identity?.channel('sha256', 'a'), identity?.channel('sha256', 'b')];
    expect(first?.value).not.toEqual(second?.value);
  });

  test('without a reported key there is nothing to compare with', () => {
    expect(identity?.channel('sha256', undefined)).toBeUndefined();
  });

  test('without a TLS certificate it is not polled at all', () => {
    expect(identityOf({ ...record, protocol: 'keylime', tlsCertificate: null })).toBeUndefined();
  });
});
