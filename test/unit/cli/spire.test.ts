import { expect, test } from 'vitest';
import { assay } from './policy/harness.ts';

const authority = { group: 'web', state: 'current', notAfter: '1970-01-02T00:00:00.000Z' };
const ANSWERS = {
  '/v1/authorities': {
    root: 'ROOT\n',
    groups: { web: 'WEB\nWEB FULL\n', db: 'DB\n' },
    authorities: [
      { ...authority, name: 'web', tier: null, selector: 'x509pop:ca:fingerprint:01' },
      { ...authority, name: 'web.full', tier: 'full', selector: 'x509pop:ca:fingerprint:02' },
    ],
  },
};

test('assay spire anchor prints the root, or all issuing CAs of a group', async () => {
  expect(await assay(['spire', 'anchor'], ANSWERS)).toMatchObject({ code: 0, out: 'ROOT' });
  expect(await assay(['spire', 'anchor', '--group', 'web'], ANSWERS)).toMatchObject({ out: 'WEB\nWEB FULL' });
});

test('a group that has none is an error that names those that have', async () => {
  const { code, out, err } = await assay(['spire', 'anchor', '--group', 'mail'], ANSWERS);
  expect({ code, out }).toEqual({ code: 3, out: '' });
  expect(err).toContain('no issuing CA for the group mail; there are those of web, db');
});

test('assay spire selectors says which nodes each selector is of', async () => {
  const { out } = await assay(['spire', 'selectors'], ANSWERS);
  expect(out).toMatch(/^web +web +current +in 24h +x509pop:ca:fingerprint:01$/m);
  expect(out).toMatch(/^web\.full +web, tier full +current +in 24h +x509pop:ca:fingerprint:02$/m);
});
