import { createHmac } from 'node:crypto';
import { Value } from 'typebox/value';
import { describe, expect, test } from 'vitest';
import { isAuthTag, renderAuthTag } from '../../../../../core/messages/keylime/auth-tag.ts';
import * as messages from '../../../../../core/messages/keylime/messages.ts';
import { parseQuoteString, renderQuoteString } from '../../../../../core/messages/keylime/quote-string.ts';

describe('auth tags', () => {
  const secret = new TextEncoder().encode('0123456789abcdefghijklmnopqrstuv');
  const id = 'd432fbb3-d2f1-4a97-9ef7-75bd81c00000';

  test('are keyed with the text of the base64, not with the secret', () => {
    const key = Buffer.from(secret).toString('base64');
    expect(renderAuthTag(secret, id)).toBe(
      createHmac('sha384', Buffer.from(key, 'ascii')).update(id).digest('hex'),
    );
    expect(renderAuthTag(secret, id)).toMatch(/^[0-9a-f]{96}$/);
  });

  test('ak.activation: fit one secret and one id', () => {
    const tag = renderAuthTag(secret, id);
    expect(isAuthTag(tag, secret, id)).toBe(true);
    expect(isAuthTag(tag, secret, id.replace('d', 'e'))).toBe(false);
    expect(isAuthTag(tag, secret.subarray(1), id)).toBe(false);
    expect(isAuthTag(tag.slice(1), secret, id)).toBe(false);
    expect(isAuthTag('', secret, id)).toBe(false);
    expect(isAuthTag(`é${tag.slice(2)}`, secret, id)).toBe(false);
  });
});

describe('quote strings', () => {
  const parts = { attest: Uint8Array.of(1), signature: Uint8Array.of(2, 3), pcrBlob: Uint8Array.of(4, 5, 6) };

  test('are r and three parts', () => {
    expect(renderQuoteString(parts)).toBe('rAQ==:AgM=:BAUG');
    expect(parseQuoteString('rAQ==:AgM=:BAUG')).toEqual(parts);
  });

  const refused = [
    ['another prefix', 'dAQ==:AgM=:BAUG'],
    ['no prefix', 'AQ==:AgM=:BAUG'],
    ['two parts', 'rAQ==:AgM='],
    ['four parts', 'rAQ==:AgM=:BAUG:'],
    ['base64 without padding', 'rAQ:AgM=:BAUG'],
    ['base64 with bits to spare', 'rAR==:AgM=:BAUG'],
    ['base64url', 'rAQ==:A-_=:BAUG'],
    ['a line break', 'rAQ==:AgM=:BAUG\n'],
    ['more than any quote needs', `r${'A'.repeat(65536)}:AgM=:BAUG`],
    ['nothing', ''],
  ] as const;
  for (const [name, text] of refused) {
    test(`bytes.bounds: ${name}`, () => {
      expect(() => parseQuoteString(text)).toThrow(expect.objectContaining({ name: 'ParseError' }));
    });
  }
});

describe('messages of stock agents', () => {
  const registration = {
    aik_tpm: 'ARgAAQALAAUAcg==',
    ek_tpm: 'AToAAQALAAMAsg==',
    ekcert: '-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----\n',
    iak_cert: null,
    idevid_cert: null,
    ip: '127.0.0.1',
    mtls_cert: '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
    port: 9002,
  };

  test('a registration, with members that a later version may add', () => {
    expect(Value.Check(messages.RegistrationRequest, registration)).toBe(true);
    expect(Value.Check(messages.RegistrationRequest, { ...registration, ekcert: '', later: 1 })).toBe(true);
    expect(Value.Check(messages.RegistrationRequest, { ...registration, mtls_cert: 'disabled' })).toBe(true);
    const { aik_tpm: _, ...without } = registration;
    expect(Value.Check(messages.RegistrationRequest, without)).toBe(false);
    expect(Value.Check(messages.RegistrationRequest, { ...registration, ek_tpm: 'not base64!' })).toBe(false);
    expect(Value.Check(messages.RegistrationRequest, { ...registration, port: 65536 })).toBe(false);
  });

  test('a registration that names the agent in its body', () => {
    expect(Value.Check(messages.RegistrationRequestWithId, { ...registration, agent_id: 'node-1' })).toBe(
      true,
    );
    expect(Value.Check(messages.RegistrationRequestWithId, registration)).toBe(false);
    expect(Value.Check(messages.RegistrationRequestWithId, { ...registration, agent_id: '../x' })).toBe(
      false,
    );
  });

  test('an activation', () => {
    expect(Value.Check(messages.ActivationRequest, { auth_tag: 'ab'.repeat(48) })).toBe(true);
    expect(Value.Check(messages.ActivationRequest, { auth_tag: 'AB'.repeat(48) })).toBe(false);
    expect(Value.Check(messages.ActivationRequest, { auth_tag: 'ab'.repeat(47) })).toBe(false);
  });

  test('an integrity quote in its envelope', () => {
    const answer = messages.Envelope(messages.QuoteResults);
    const results = { quote: 'rAQ==:AgM=:BAUG', hash_alg: 'sha256', enc_alg: 'rsa2048', sign_alg: 'rsassa' };
    expect(Value.Check(answer, { code: 200, status: 'Success', results })).toBe(true);
    const more = { ...results, pubkey: 'PEM', ima_measurement_list: '', ima_measurement_list_entry: 0 };
    expect(Value.Check(answer, { code: 200, status: 'Success', results: more })).toBe(true);
    expect(Value.Check(answer, { code: 200, status: 'Success', results: {} })).toBe(false);
    expect(Value.Check(answer, { code: '200', status: 'Success', results })).toBe(false);
  });

  test('a success without results', () => {
    const answer = messages.Envelope(messages.EmptyResults);
    expect(Value.Check(answer, { code: 200, status: 'Success', results: null })).toBe(true);
    expect(Value.Check(answer, { code: 200, status: 'Success', results: {} })).toBe(true);
    expect(Value.Check(answer, { code: 200, status: 'Success' })).toBe(false);
  });

  test('the query of an integrity quote', () => {
    const query = { nonce: 'a1'.repeat(32), mask: '0x10400', partial: '0' };
    expect(Value.Check(messages.IntegrityQuery, query)).toBe(true);
    expect(Value.Check(messages.IntegrityQuery, { ...query, ima_ml_entry: '12' })).toBe(true);
    for (const change of [
      { nonce: '' },
      { nonce: 'a'.repeat(65) },
      { nonce: 'a b' },
      { mask: '0xg' },
      { partial: '2' },
    ]) {
      expect(Value.Check(messages.IntegrityQuery, { ...query, ...change })).toBe(false);
    }
  });
});
