import { expect, test } from 'vitest';
import { servedEntries } from '../../../../platform/spire/served.ts';
import type { SpireEntry } from '../../../../platform/spire/server.ts';

const AGENT = '/spire/agent/x509pop/n';
const entry = (path: string, selectors: readonly string[] = ['unix:uid:1']): SpireEntry => ({
  ...{ id: path, spiffeId: `spiffe://td${path}`, selectors, svidTtlSeconds: 0 },
});
/** The ids of what is served, with these entries below these parents. */
async function served(
  below: Readonly<Record<string, readonly SpireEntry[]>>,
  selectors: readonly string[] = [],
) {
  const found = await servedEntries(async (parent) => below[parent] ?? [], { path: AGENT, selectors });
  return found.map(({ id }) => id);
}

test('what is below the agent', async () => {
  expect(await served({ [AGENT]: [entry('/a')], '/spire/agent/x509pop/m': [entry('/b')] })).toEqual(['/a']);
});

test('what is below a node alias, when the agent has all of its selectors', async () => {
  const below = {
    '/spire/server': [
      entry('/web', ['x509pop:ca:fingerprint:1']),
      entry('/db', ['x509pop:ca:fingerprint:1', 'x:y']),
    ],
    '/web': [entry('/a')],
    '/db': [entry('/b')],
  };
  expect(await served(below, ['x509pop:ca:fingerprint:1', 'x509pop:subject:cn:n'])).toEqual(['/a']);
  expect(await served(below)).toEqual([]);
});

test("an entry without selectors is nobody's alias", async () => {
  expect(await served({ '/spire/server': [entry('/all', [])], '/all': [entry('/a')] })).toEqual([]);
});

test('what is below entries in turn, once, also when they form a loop', async () => {
  const below = { [AGENT]: [entry('/a')], '/a': [entry('/b')], '/b': [entry('/a'), entry('/c')] };
  expect(await served(below)).toEqual(['/a', '/b', '/c']);
});
