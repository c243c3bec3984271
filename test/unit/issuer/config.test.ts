import Value from 'typebox/value';
import { expect, test } from 'vitest';
import { IssuerSection, resolveIssuerConfig } from '../../../issuer/config.ts';

const section: IssuerSection = {
  listen: '127.0.0.1:8882',
  url: 'https://localhost:8882',
  groups: { web: { ttl: '5m', 'key-modes': ['delivered'] }, db: {} },
};

test('durations become milliseconds, and what is missing has a default', () => {
  const config = resolveIssuerConfig(section);
  expect(config).toMatchObject({
    listen: { host: '127.0.0.1', port: 8882 },
    crl: { intervalMs: 60_000, lifetimeMs: 3_600_000, directory: undefined },
    bans: { intervalMs: 60_000 },
  });
  expect(config.groups.get('web')).toEqual({ ttlMs: 300_000, keyModes: ['delivered'], fullTierCa: false });
  expect(config.groups.get('db')).toEqual({ ttlMs: 600_000, keyModes: ['tpm'], fullTierCa: false });
});

const wrong: readonly [name: string, change: Partial<IssuerSection>][] = [
  ['a TTL below a minute', { groups: { web: { ttl: '59s' } } }],
  ['a TTL over a day', { groups: { web: { ttl: '25h' } } }],
  ['a CRL that lives no longer than two intervals', { crl: { interval: '31m', lifetime: '1h' } }],
  ['a CRL without a pause', { crl: { interval: '1ms' } }],
  ['an address without a port', { listen: 'localhost' }],
];
for (const [name, change] of wrong) {
  test(`${name} is refused`, () => {
    const config = { ...section, ...change };
    expect(Value.Check(IssuerSection, config)).toBe(true);
    expect(() => resolveIssuerConfig(config)).toThrow(expect.objectContaining({ code: 'invalid-config' }));
  });
}

const malformed: readonly [name: string, value: unknown][] = [
  ['an unknown key', { ...section, group: {} }],
  ['an unknown key of a group', { ...section, groups: { web: { TTL: '5m' } } }],
  ['a group name that is no file name', { ...section, groups: { '../web': {} } }],
  ['no group', { ...section, groups: {} }],
  ['an unknown key mode', { ...section, groups: { web: { 'key-modes': ['file'] } } }],
  ['a URL without TLS', { ...section, url: 'http://localhost' }],
];
for (const [name, value] of malformed) {
  test(`${name} does not fit the schema`, () => {
    expect(Value.Check(IssuerSection, value)).toBe(false);
  });
}
