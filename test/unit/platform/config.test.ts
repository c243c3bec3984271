import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Type, { type Static } from 'typebox';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { environmentSecret, loadConfig, parseListen } from '../../../platform/config.ts';

const closed = { additionalProperties: false } as const;
const Schema = Type.Object(
  {
    'trust-domain': Type.String(),
    issuer: Type.Object(
      {
        listen: Type.String(),
        workers: Type.Optional(Type.Integer({ minimum: 1 })),
        'dry-run': Type.Optional(Type.Boolean()),
        ranges: Type.Optional(Type.Array(Type.String())),
        passphrase: Type.Optional(Type.String()),
        crl: Type.Optional(Type.Object({ 'max-age': Type.String({ pattern: '^[0-9]+s$' }) }, closed)),
      },
      closed,
    ),
  },
  closed,
);

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'assay-config-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function write(text: string, name = 'assay.yaml'): string {
  const file = join(directory, name);
  writeFileSync(file, text);
  return file;
}

function problemsOf(text: string, env: Record<string, string> = {}): string[] {
  const file = write(text);
  try {
    loadConfig(Schema, { file, env });
  } catch (error) {
    expect(error).toMatchObject({ code: 'invalid-config' });
    const { details } = error as { details: readonly { message: string }[] };
    return details.map(({ message }) => message.replace(file, 'FILE'));
  }
  throw new Error('the configuration was accepted');
}

const GOOD = 'trust-domain: example.org\nissuer:\n  listen: 127.0.0.1:1\n';

test('a file becomes one frozen object', () => {
  const config: Static<typeof Schema> = loadConfig(Schema, { file: write(GOOD) });
  expect(config).toEqual({ 'trust-domain': 'example.org', issuer: { listen: '127.0.0.1:1' } });
  expect(() => Object.assign(config.issuer, { listen: 'x' })).toThrow(TypeError);
});

test('all problems are told together, each with its line and what was expected', () => {
  const text = 'issuer:\n  listen: 5\n  lisden: x\n  crl:\n    max-age: soon\n';
  expect(problemsOf(text).sort()).toEqual([
    'FILE:1:1: needs the key "trust-domain"',
    'FILE:2:11: issuer.listen: must be string',
    'FILE:3:11: issuer.lisden: unknown key; check its spelling',
    'FILE:5:14: issuer.crl.max-age: does not have the expected form ^[0-9]+s$',
  ]);
});

test('the environment wins over the file, in the types of the schema', () => {
  const env = {
    ASSAY_TRUST_DOMAIN: 'example.net',
    ASSAY_ISSUER_WORKERS: '4',
    ASSAY_ISSUER_DRY_RUN: 'true',
    ASSAY_ISSUER_RANGES: '10.0.0.0/8, 192.0.2.0/24',
    ASSAY_ISSUER_CRL_MAX_AGE: '60s',
    ASSAY_PROFILE: 'somebody else reads this',
    PATH: '/bin',
  };
  expect(loadConfig(Schema, { file: write(GOOD), env })).toEqual({
    'trust-domain': 'example.net',
    issuer: {
      listen: '127.0.0.1:1',
      workers: 4,
      'dry-run': true,
      ranges: ['10.0.0.0/8', '192.0.2.0/24'],
      crl: { 'max-age': '60s' },
    },
  });
});

test('the environment alone is enough', () => {
  const env = { ASSAY_TRUST_DOMAIN: 'example.org', ASSAY_ISSUER_LISTEN: ':1' };
  expect(loadConfig(Schema, { env })).toMatchObject({ issuer: { listen: ':1' } });
});

test('problems of the environment name the variable and stand with those of the file', () => {
  const env = { ASSAY_ISSUER_WORKERS: 'many', ASSAY_ISSUER_LISDEN: 'x', ASSAY_ISSUER_CRL_MAX_AGE: 'soon' };
  expect(problemsOf('issuer:\n  listen: 5\n', env).sort()).toEqual([
    'ASSAY_ISSUER_CRL_MAX_AGE: issuer.crl.max-age: does not have the expected form ^[0-9]+s$',
    'ASSAY_ISSUER_LISDEN: unknown variable; check its spelling',
    'ASSAY_ISSUER_WORKERS: issuer.workers: must be integer',
    'FILE:1:1: needs the key "trust-domain"',
    'FILE:2:11: issuer.listen: must be string',
  ]);
});

test('an unknown variable of a section is refused also when the rest is right', () => {
  expect(problemsOf(GOOD, { ASSAY_ISSUER_WORKER: '4' })).toEqual([
    'ASSAY_ISSUER_WORKER: unknown variable; check its spelling',
  ]);
});

test('a section of the wrong kind is not mended by the environment', () => {
  expect(problemsOf('trust-domain: x\nissuer: [1]\n', { ASSAY_ISSUER_WORKERS: '4' }).join()).toContain(
    'issuer',
  );
});

test('a secret is read from the file that the environment names, and is in no error', () => {
  const secret = write('s3cret\n', 'passphrase');
  const config = loadConfig(Schema, { file: write(GOOD), env: { ASSAY_ISSUER_PASSPHRASE_FILE: secret } });
  expect(config.issuer.passphrase).toBe('s3cret');
  expect(() =>
    loadConfig(Schema, { file: write(GOOD), env: { ASSAY_ISSUER_PASSPHRASE_FILE: '/nowhere' } }),
  ).toThrow(/cannot read the configuration: there is no file/);
  expect(problemsOf(GOOD, { ASSAY_ISSUER_WORKERS_FILE: secret }).join()).not.toContain('s3cret');
});

test('a secret of the environment itself, or of a file', () => {
  const file = write('from file\n', 'token');
  expect(environmentSecret('TOKEN', { TOKEN: 'direct' })).toBe('direct');
  expect(environmentSecret('TOKEN', { TOKEN: 'direct', TOKEN_FILE: file })).toBe('from file');
  expect(environmentSecret('TOKEN', { TOKEN: '' })).toBeUndefined();
  expect(environmentSecret('TOKEN', {})).toBeUndefined();
});

test('addresses to listen on', () => {
  expect(parseListen('127.0.0.1:8891')).toEqual({ host: '127.0.0.1', port: 8891 });
  expect(parseListen('[::1]:0')).toEqual({ host: '::1', port: 0 });
  expect(parseListen(':80')).toEqual({ host: '::', port: 80 });
  for (const text of ['', '80', 'host', 'host:', 'host:99999', '::1:80', 'a:b:c']) {
    expect(() => parseListen(text), text).toThrow(/is not an address/);
  }
});
