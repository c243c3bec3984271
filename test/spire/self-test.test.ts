import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { initialise } from '../../cli/init/initialise.ts';
import { AGENT_PATH_TEMPLATE } from '../../platform/spire/agent-path.ts';
import { EVASIONS } from '../../platform/spire/evasion.ts';
import { assay as runAssay } from '../unit/cli/policy/harness.ts';
import { SpireServerProcess } from './support/spire.ts';

const TRUST_DOMAIN = 'self.test';
const assay = (argv: readonly string[]) => runAssay(argv, undefined, new Date());
let scratch: string;
let installation: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'self-'));
  installation = join(scratch, 'assay');
  await initialise({
    directory: installation,
    trustDomain: TRUST_DOMAIN,
    nodesDomain: `nodes.${TRUST_DOMAIN}`,
    groups: ['web'],
    hosts: ['localhost'],
    clock: () => new Date(),
    random: randomBytes,
  });
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

/** A user's server with this template, whose anchor is the root. */
async function withServer(
  name: string,
  template: string,
  work: (server: SpireServerProcess, args: readonly string[]) => Promise<void>,
): Promise<void> {
  const anchor = await readFile(join(installation, 'pki/node-root.crt'), 'utf8');
  const options = {
    binaries: inject('spireBinaries'),
    directory: join(scratch, name),
    trustDomain: TRUST_DOMAIN,
  };
  const server = await SpireServerProcess.start(options, anchor, template);
  try {
    const bundle = join(scratch, `${name}.pem`);
    await writeFile(bundle, await server.command('bundle', 'show'));
    const at = ['--server', `127.0.0.1:${server.port}`, '--bundle', bundle];
    await work(server, [...at, '--group', 'web', '--directory', installation]);
  } finally {
    await server.close();
  }
}

test('nothing gets through a server that is configured as we print it, and nothing is left on it', async () => {
  await withServer('good', AGENT_PATH_TEMPLATE, async (spire, args) => {
    const banned = EVASIONS.filter(({ must }) => must === 'own').length;
    const whole = await assay(['--json', 'spire', 'self-test', ...args, '--socket', spire.socket]);
    const { rows, left } = JSON.parse(whole.out);
    expect(rows.filter(({ ok }: { ok: boolean }) => !ok)).toEqual([]);
    expect({ code: whole.code, rows: rows.length, left }).toEqual({
      code: 0,
      rows: EVASIONS.length + banned,
      left: [],
    });
    expect(await spire.agents()).toEqual([]);
    // Without the right to remove agents it says which are left.
    const plain = await assay(['spire', 'self-test', ...args]);
    expect(plain.code).toBe(0);
    expect(plain.out).toContain(`${EVASIONS.length} attempts, and nothing is gained by any`);
    expect(plain.out).toMatch(/spiffe:\/\/self.test\/spire\/agent\/x509pop\/[0-9a-f-]{36}$/);
    expect(await spire.agents()).toHaveLength(1);
  });
});

test('a server with the default template fails, and the remedy is named once', async () => {
  await withServer('bad', '/{{ .PluginName }}/{{ .Fingerprint }}', async (spire, args) => {
    const { code, out } = await assay(['spire', 'self-test', ...args, '--socket', spire.socket]);
    expect(code).toBe(1);
    expect(out).toMatch(/^FAIL +a leaf as it should be +accepted as \/spire\/agent\/x509pop\//m);
    expect(out).toMatch(/^ok +another node's DNS name +refused: /m);
    expect(out.match(/assay spire snippet/g)).toHaveLength(1);
  });
});

test('a server that knows nothing of these nodes is told apart: nothing is proven by its refusals', async () => {
  await withServer('late', AGENT_PATH_TEMPLATE, async (_spire, args) => {
    const { code, out } = await runAssay(['--json', 'spire', 'self-test', ...args], undefined, new Date(0));
    expect(code).toBe(1);
    expect(JSON.parse(out).rows).toMatchObject([
      { id: 'own', ok: false, remedy: expect.stringContaining('clocks') },
    ]);
  });
});

test('a server that cannot be reached is an error, and no verdict on it', async () => {
  const args = ['--server', '127.0.0.1:1', '--bundle', join(installation, 'pki/node-root.crt')];
  const { code, err } = await assay([
    ...['spire', 'self-test', ...args, '--group', 'web', '--directory', installation],
  ]);
  expect(code).toBe(4);
  expect(err).toContain('ECONNREFUSED');
});
