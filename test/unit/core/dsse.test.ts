import { generateKeyPairSync, hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  dsseKeyId,
  isDsse,
  parseDsse,
  preAuthEncoding,
  renderDsse,
  signDsse,
  verifyDsse,
} from '../../../core/dsse.ts';
import { ParseError } from '../../../core/errors.ts';

const TYPE = 'application/vnd.example+yaml';
const payload = new Uint8Array(Buffer.from('hello: world\n'));
const p256 = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const KEYS = {
  'P-256': p256(),
  'P-384': generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'P-521': generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  Ed25519: generateKeyPairSync('ed25519'),
};

test('what is signed is the example of the specification', () => {
  const encoded = preAuthEncoding('http://example.com/HelloWorld', Buffer.from('hello world'));
  expect(Buffer.from(encoded).toString()).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world');
});

describe.each(Object.entries(KEYS))('%s', (_name, { privateKey, publicKey }) => {
  const envelope = signDsse(TYPE, payload, privateKey, publicKey);

  test('signs, survives as text, and verifies', () => {
    const read = parseDsse(renderDsse(envelope));
    expect(read).toEqual(envelope);
    expect(verifyDsse(read, [publicKey])).toEqual([publicKey]);
    expect(read.signatures[0]?.keyid).toBe(hash('sha256', publicKey.export({ type: 'spki', format: 'der' })));
  });

  test('policy.signed: no other payload, type or key', () => {
    const other = p256().publicKey;
    expect(verifyDsse(envelope, [other])).toEqual([]);
    expect(verifyDsse({ ...envelope, payload: Buffer.from('hello: world!') }, [publicKey])).toEqual([]);
    expect(verifyDsse({ ...envelope, payloadType: `${TYPE}2` }, [publicKey])).toEqual([]);
  });
});

test('policy.signed: the key id of an envelope is a hint and nothing more', () => {
  const { privateKey, publicKey } = KEYS['P-256'];
  const [signature] = signDsse(TYPE, payload, privateKey, publicKey).signatures;
  const trusted = p256().publicKey;
  if (!signature) throw new Error('one signature');
  const forged = { payloadType: TYPE, payload, signatures: [{ ...signature, keyid: dsseKeyId(trusted) }] };
  expect(verifyDsse(forged, [trusted])).toEqual([]);
  expect(verifyDsse(forged, [trusted, publicKey])).toEqual([publicKey]);
});

test('RSA keys are refused', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  expect(() => signDsse(TYPE, payload, privateKey, publicKey)).toThrow(TypeError);
});

test.each([
  ['no JSON', '{', 'is not JSON'],
  ['no type', '{"payload":"","signatures":[]}', 'payloadType'],
  ['no payload', '{"payloadType":"x","signatures":[{"sig":""}]}', 'payload'],
  ['a payload that is no base64', '{"payloadType":"x","payload":"%","signatures":[{"sig":""}]}', 'base64'],
  ['no signature', '{"payloadType":"x","payload":"","signatures":[]}', 'signatures'],
  ['a signature without sig', '{"payloadType":"x","payload":"","signatures":[{}]}', 'no sig'],
  ['null', 'null', 'payloadType'],
])('%s is refused', (_what, text, message) => {
  expect(() => parseDsse(text)).toThrow(ParseError);
  expect(() => parseDsse(text)).toThrow(message);
});

test('any text is read or refused', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      try {
        parseDsse(text);
      } catch (error) {
        expect(error).toBeInstanceOf(ParseError);
      }
    }),
  );
});

test('an envelope is told from a YAML document', () => {
  expect(isDsse('assay: policy/v1\n')).toBe(false);
  expect(isDsse('{"assay": "policy/v1"}')).toBe(false);
  expect(isDsse(' {"payloadType": "x"}')).toBe(true);
});
