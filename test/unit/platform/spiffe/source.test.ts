import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { parseSpiffeId, renderSpiffeId } from '../../../../core/spiffe/id.ts';
import { renderPem } from '../../../../core/x509/pem.ts';
import { createLogger } from '../../../../platform/logging.ts';
import { parseEndpoint } from '../../../../platform/spiffe/endpoint.ts';
import { workloadApi } from '../../../../platform/spiffe/workload-api.ts';
import { openX509Source, type SvidOrigin, type X509Source } from '../../../../platform/spiffe/x509-source.ts';
import { SpiffeCa, type TestSvid } from '../../../fakes/spiffe-ca.ts';
import { FakeWorkloadApi } from '../../../fakes/workload-api.ts';

const OURS = 'spiffe://a.test/assay';
const silent = createLogger({ level: 'silent', name: 'test' });
let scratch: string;
let a: SpiffeCa;
let api: FakeWorkloadApi;
const sources: X509Source[] = [];

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'svid-'));
  a = await SpiffeCa.create('a.test');
  api = await new FakeWorkloadApi(join(scratch, 'api.sock')).start();
});
afterEach(async () => {
  for (const source of sources.splice(0)) await source.close();
  await api.stop();
  await rm(scratch, { recursive: true, force: true });
});

function open(origin: SvidOrigin = { workloadApi: api.endpoint }): X509Source {
  const source = openX509Source(origin, silent);
  sources.push(source);
  return source;
}

const idOf = (source: X509Source) => renderSpiffeId(source.current().id);
const serialOf = (source: X509Source) => source.current().leaf.serialHex;
const serial = ({ chain }: TestSvid) => chain[0]?.serialHex;

describe('the Workload API', () => {
  test('gives an SVID with its chain, its key, and the bundles of all trust domains', async () => {
    const b = await SpiffeCa.create('b.test');
    const svid = await a.svid(OURS, { below: await a.below('between') });
    api.give([a, b], [svid]);
    const identity = await open().ready(5_000);
    expect(renderSpiffeId(identity.id)).toBe(OURS);
    expect(identity.certificate).toBe(svid.chain.map(({ der }) => renderPem('CERTIFICATE', der)).join(''));
    expect(identity.key).toMatch(/^-----BEGIN PRIVATE KEY-----/);
    expect([...identity.bundles.keys()].sort()).toEqual(['a.test', 'b.test']);
  });

  test('gives the first of several SVIDs, or the one that was asked for', async () => {
    const other = await a.svid('spiffe://a.test/other');
    api.give([a], [other, await a.svid(OURS)]);
    const [first, asked] = [open(), open({ workloadApi: api.endpoint, id: parseSpiffeId(OURS) })];
    await Promise.all([first.ready(5_000), asked.ready(5_000)]);
    expect([idOf(first), idOf(asked)]).toEqual([other.id, OURS]);
  });

  test('is followed: a new SVID takes the place of the old one', async () => {
    api.give([a], [await a.svid(OURS)]);
    const source = open();
    const before = await source.ready(5_000);
    expect(source.current()).toBe(before);
    const changes: string[] = [];
    source.onChange(({ leaf }) => changes.push(leaf.serialHex));
    const next = await a.svid(OURS);
    api.give([a], [next]);
    await vi.waitFor(() => expect(serialOf(source)).toBe(serial(next)));
    expect(changes).toEqual([before.leaf.serialHex, serial(next)]);
    expect(api.opened).toBe(1);
  });

  test('is asked again when it goes away; what we had stays until it expires', async () => {
    api.give([a], [await a.svid(OURS)]);
    const source = open();
    await source.ready(5_000);
    await api.stop();
    const next = await a.svid(OURS);
    api.give([a], [next]);
    expect(idOf(source)).toBe(OURS);
    await api.start();
    await vi.waitFor(() => expect(serialOf(source)).toBe(serial(next)), 5_000);
  });

  test('may come later than we do, and may have nothing for us at first', async () => {
    await api.stop();
    const source = open();
    await expect(source.ready(100)).rejects.toThrow(/there is no SVID: .*(ENOENT|ECONNREFUSED)/);
    await api.start();
    await vi.waitFor(() => expect(() => source.current()).toThrow(/no identity issued/), 5_000);
    api.give([a], [await a.svid(OURS)]);
    expect(renderSpiffeId((await source.ready(5_000)).id)).toBe(OURS);
  });

  test('an SVID that expired without a new one is no SVID', async () => {
    api.give([a], [await a.svid(OURS, { lifetimeMs: 1_500 })]);
    const source = open();
    await source.ready(5_000);
    await vi.waitFor(() => expect(() => source.current()).toThrow(/expired at .* no newer one/), 5_000);
  });

  test.each<[string, FakeWorkloadApi['distort'], RegExp]>([
    ['no certificate', (svid) => ({ ...svid, x509Svid: new Uint8Array() }), /holds no certificate/],
    ['half a certificate', (svid) => ({ ...svid, x509Svid: svid.x509Svid.subarray(0, 100) }), /bytes/],
    ['no key', (svid) => ({ ...svid, x509SvidKey: new Uint8Array() }), /not PKCS#8/],
    [
      'another name than its certificate',
      (svid) => ({ ...svid, spiffeId: 'spiffe://a.test/x' }),
      /by the name/,
    ],
    ['no bundle', (svid) => ({ ...svid, bundle: new Uint8Array() }), /holds no certificate/],
  ])('an answer with %s changes nothing', async (_name, distort, why) => {
    api.give([a], [await a.svid(OURS)]);
    const source = open();
    const before = await source.ready(5_000);
    api.distort = distort;
    api.give([a], [await a.svid(OURS)]);
    await vi.waitFor(() => expect(api.opened).toBeGreaterThan(1), 5_000);
    expect(source.current()).toBe(before);
    const fresh = open();
    await expect(fresh.ready(500)).rejects.toThrow(why);
  });

  test("another SVID's key is refused", async () => {
    const { key } = await a.svid(OURS);
    api.give([a], [{ ...(await a.svid(OURS)), key }]);
    await expect(open().ready(500)).rejects.toThrow(/not that of its certificate/);
  });

  test('gives bundles alone to whoever has no identity', async () => {
    const b = await SpiffeCa.create('b.test');
    api.give([a, b], [await a.svid(OURS)]);
    const stop = new AbortController();
    for await (const bundles of workloadApi(api.endpoint).x509Bundles(stop.signal)) {
      expect([...bundles.keys()].sort()).toEqual(['a.test', 'b.test']);
      break;
    }
    stop.abort();
  });
});

describe('files', () => {
  const files = () => ({
    certificate: join(scratch, 'svid.pem'),
    key: join(scratch, 'key.pem'),
    bundle: join(scratch, 'bundle.pem'),
  });
  const write = async ({ chain, key }: TestSvid) => {
    const { certificate, key: keyFile, bundle } = files();
    const pkcs8 = Buffer.from(key).toString('base64');
    await writeFile(certificate, chain.map(({ der }) => renderPem('CERTIFICATE', der)).join(''));
    await writeFile(keyFile, `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`);
    await writeFile(bundle, renderPem('CERTIFICATE', a.root.certificate.der));
  };

  test('are read, and read again when they change', async () => {
    await write(await a.svid(OURS));
    const source = open({ files: files() });
    expect(idOf(source)).toBe(OURS);
    const next = await a.svid(OURS);
    await write(next);
    await utimes(files().certificate, new Date(), new Date(Date.now() + 5_000));
    await vi.waitFor(() => expect(serialOf(source)).toBe(serial(next)), 15_000);
  });

  test('that are not there are an error that names them, until they are', async () => {
    const source = open({ files: files() });
    expect(() => source.current()).toThrow(/there is no SVID: .*svid\.pem/);
    await write(await a.svid(OURS));
    expect(renderSpiffeId((await source.ready(15_000)).id)).toBe(OURS);
  });

  test('that do not fit each other leave what we had', async () => {
    await write(await a.svid(OURS));
    const lines: string[] = [];
    const destination = { write: (line: string) => void lines.push(line) };
    const logger = createLogger({ level: 'warn', name: 'test', destination });
    const source = openX509Source({ files: files() }, logger);
    sources.push(source);
    const before = source.current();
    await write({ ...(await a.svid(OURS)), key: (await a.svid(OURS)).key });
    await vi.waitFor(() => expect(lines.join()).toMatch(/not that of its certificate/), 5_000);
    expect(source.current()).toBe(before);
  });
});

test.each(['unix:///run/agent.sock', 'unix:/run/agent.sock', 'tcp://127.0.0.1:8080', 'tcp://[::1]:8080'])(
  '%s is an endpoint',
  (text) => {
    expect(parseEndpoint(text)).toBeTypeOf('function');
  },
);

test.each([
  '',
  '/run/agent.sock',
  'unix://run/agent.sock',
  'tcp://localhost:8080',
  'tcp://127.0.0.1',
  'http://x',
])('"%s" is none', (text) => {
  expect(() => parseEndpoint(text)).toThrow(/no Workload API endpoint/);
});
