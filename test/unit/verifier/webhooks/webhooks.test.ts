import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openWebhooks } from '../../../../verifier/webhooks/config.ts';
import { parseSecret, signedHeaders } from '../../../../verifier/webhooks/signature.ts';

const directory = mkdtempSync(join(tmpdir(), 'assay-webhooks-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const KEY = Buffer.from('0123456789abcdef01234567');
const SECRET = `whsec_${KEY.toString('base64')}`;

test("a message is signed as openssl's HMAC signs it, once for each key", () => {
  // printf 'msg_1.1700000000.{"a":1}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:… -binary | base64
  const signature = 'v1,WUgAXU8H0NQ1/7M+TtMwKma2b74a3/TCgekiM3YUdN8=';
  const at = new Date(1_700_000_000_987);
  expect(signedHeaders('msg_1', at, '{"a":1}', [KEY])).toEqual({
    'webhook-id': 'msg_1',
    'webhook-timestamp': '1700000000',
    'webhook-signature': signature,
  });
  const both = signedHeaders('msg_1', at, '{"a":1}', [KEY, Buffer.alloc(32)])['webhook-signature'];
  expect(both?.split(' ')).toEqual([signature, expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/)]);
});

test('a message is signed as the reference library of Standard Webhooks signs it', () => {
  const key = parseSecret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLBSw', 'x');
  const at = new Date(1_614_265_330_000);
  const headers = signedHeaders('msg_p5jXN8AQM9LWM0D4loKWxJek', at, '{"test": 2432232314}', [key]);
  expect(headers['webhook-signature']).toBe('v1,7ZfhzVPycx30h5Eir9xwJqcFoOghCm5l42bMJlk8dp8=');
});

describe('a secret', () => {
  test('is whsec_ and base64, with or without a line end', () => {
    expect(parseSecret(`${SECRET}\n`, 'x')).toEqual(KEY);
  });

  test.each([
    '',
    'whsec_',
    'whsec_c2hvcnQ=',
    `whsec_${'A'.repeat(100)}`,
    'whsec_not base64 at all, not at all',
  ])('"%s" is none', (text) => {
    expect(() => parseSecret(text, 'x')).toThrow(/^x: whsec_ and base64 of 24 to 64 bytes/);
  });
});

describe('configuration', () => {
  const secret = (name: string, mode = 0o600) => {
    writeFileSync(join(directory, name), SECRET, { mode });
    return name;
  };
  const one = (changes: object = {}) => ({
    ...{ name: 'siem', url: 'https://siem.example.org/hook', 'secret-files': [secret('good')] },
    ...changes,
  });
  const open = (...sections: Parameters<typeof openWebhooks>[0]) => openWebhooks(sections, directory);

  test('names a place, keys, and what is wanted', async () => {
    const [webhook] = await open(one({ events: ['failed', 'banned'], groups: ['web'], timeout: '2s' }));
    expect(webhook).toMatchObject({ name: 'siem', keys: [KEY], timeoutMs: 2_000 });
    expect([...(webhook?.kinds ?? [])]).toEqual(['failed', 'banned']);
  });

  test.each(['http://127.0.0.1:9/x', 'http://localhost/x', 'http://[::1]:9/'])(
    '%s needs no TLS: it is this machine',
    async (url) => {
      expect(await open(one({ url }))).toHaveLength(1);
    },
  );

  test.each<[string, () => object, RegExp]>([
    ['http elsewhere', () => one({ url: 'http://siem.example.org/' }), /siem: .* is not https/],
    [
      'http at a name that looks like this machine',
      () => one({ url: 'http://127.0.0.1.evil.org/' }),
      /not https/,
    ],
    ['a URL that is none', () => one({ url: 'https://[/' }), /is no URL/],
    ['a password that would not be sent', () => one({ url: 'https://u:hidden@x.org/' }), /are not sent/],
    ['no secret', () => one({ 'secret-files': ['missing'] }), /missing: cannot be opened/],
    ['a secret that others may read', () => one({ 'secret-files': [secret('open', 0o644)] }), /mode is 0644/],
    ['no CA', () => one({ ca: 'missing.pem' }), /siem: cannot read .*missing\.pem/],
  ])('%s is refused', async (_name, section, why) => {
    await expect(open(section() as never)).rejects.toThrow(why);
  });

  test.each([
    'http://siem.example.org/hidden?a=hidden',
    'https://x.org:99999/hidden',
    'https://x:hidden@x.org/',
  ])('what is said of %s holds no secret', async (url) => {
    await expect(open(one({ url }))).rejects.toThrow(/^(?!.*hidden)/);
  });

  test('two of one name are refused', async () => {
    await expect(open(one(), one())).rejects.toThrow('two of them have one name');
  });
});
