import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type AgentConfig, type AgentFlags, loadConfig } from '../../../agent/config.ts';
import { joinOnce, writeConfig } from '../../../agent/join.ts';
import { EXIT } from '../../../agent/output.ts';
import { runAgentProgram } from '../../../agent/program.ts';
import { AgentServices } from '../../fakes/agent-services.ts';
import { type FakeNodeTpm, fakeNodeTpm } from '../../fakes/node-tpm.ts';

let services: AgentServices;
let folder: string;
let tpm: FakeNodeTpm;
let opened: number;
const ports = {
  now: () => new Date(),
  openTpm: async () => {
    opened += 1;
    return tpm;
  },
};

beforeAll(async () => {
  services = await AgentServices.start();
});
afterAll(() => services.close());
beforeEach(async () => {
  services.enrolments.length = 0;
  services.requests.length = 0;
  folder = await mkdtemp(join(tmpdir(), 'join-'));
  tpm = fakeNodeTpm();
  opened = 0;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const pin = () => `sha256:${services.pki.serviceCa.pin}`;
const flags = (): AgentFlags => ({
  ...{ registrar: services.url, ca: pin(), alias: 'node-1', contact: '192.0.2.1:9002' },
  ...{ stateDir: join(folder, 'state'), materialDir: join(folder, 'run') },
});
const configOf = (token?: string): AgentConfig =>
  loadConfig({ file: undefined, flags: flags(), ...(token === undefined ? {} : { token }) });

test('enrols once, with the token, and remembers it', async () => {
  const self = await joinOnce(configOf('secret-token'), ports, () => {});
  expect(self.nodeId).toBe(tpm.ek.nodeId);
  expect(services.enrolments).toMatchObject([{ alias: 'node-1', joinToken: 'secret-token' }]);
  expect(services.enrolments[0]?.contact).toEqual({ host: '192.0.2.1', port: 9002 });
  const stored = await readFile(join(folder, 'state', 'node.json'), 'utf8');
  expect(JSON.parse(stored)).toMatchObject({ nodeId: self.nodeId, admitted: true });
  expect(stored).not.toContain('secret-token');
  expect((await stat(join(folder, 'state', 'tls.key'))).mode & 0o777).toBe(0o600);
  expect(tpm.closed).toBe(1);
});

test('a token that is given again is used again; without one the record is enough', async () => {
  await joinOnce(configOf('first'), ports, () => {});
  await joinOnce(configOf(), ports, () => {});
  await joinOnce(configOf('second'), ports, () => {});
  expect(services.enrolments.map(({ joinToken }) => joinToken)).toEqual(['first', undefined, 'second']);
});

test('transport.pin: with a pin of another CA nothing is sent, and the TPM is not touched', async () => {
  const config: AgentConfig = { ...configOf('token'), ca: { type: 'pin', sha256: '0'.repeat(64) } };
  await expect(joinOnce(config, ports, () => {})).rejects.toMatchObject({ code: 'unauthenticated' });
  expect(services.requests.filter((request) => request !== 'GET /v1/ca')).toEqual([]);
  expect(opened).toBe(0);
});

test('the TPM is closed also when the registrar refuses', async () => {
  const refusing = { ...tpm, activate: () => Promise.reject(new Error('wrong credential')) };
  tpm = refusing;
  await expect(joinOnce(configOf(), ports, () => {})).rejects.toThrow('wrong credential');
  expect(refusing.closed).toBe(1);
});

test('the file that is written says the same, with absolute paths and without the token', async () => {
  const file = join(folder, 'etc', 'agent.yaml');
  const relative = { ...flags(), ca: 'ca.crt', stateDir: 'state', materialDir: 'run' };
  const config = loadConfig({ file: undefined, flags: relative, token: 'secret-token' });
  await writeConfig(file, config, relative);
  expect(await readFile(file, 'utf8')).not.toContain('secret-token');
  const read = loadConfig({ file });
  expect(read).toMatchObject({ registrar: services.url, alias: 'node-1', joinToken: undefined });
  expect(read.ca).toEqual({ type: 'file', path: join(process.cwd(), 'ca.crt') });
  expect(read.stateDirectory).toBe(join(process.cwd(), 'state'));
  expect(read.material.directory).toBe(join(process.cwd(), 'run'));
});

async function command(...argv: string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await runAgentProgram(argv, {
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    env: {},
    readInput: async () => 'token-from-input\n',
    agent: { ...ports, random: Math.random, pause: async () => {} },
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

const joinLine = (registrar: string, file: string, ca = pin()) =>
  command(
    ...['join', registrar, '--config', file, '--ca', ca, '--token', '-'],
    ...['--state-dir', join(folder, 'state'), '--material-dir', join(folder, 'run')],
  );

test('the command: the token from standard input, a file for the service, what to do next', async () => {
  const file = join(folder, 'agent.yaml');
  const { code, out } = await joinLine(services.url, file);
  expect(code).toBe(EXIT.ok);
  expect(out).toContain(`enrolled node ${tpm.ek.nodeId}`);
  expect(out).toContain('WITHOUT certificate');
  expect(services.enrolments[0]?.joinToken).toBe('token-from-input');
  expect(loadConfig({ file }).registrar).toBe(services.url);
});

test('the command that fails leaves no file that stands in the way of the next', async () => {
  const file = join(folder, 'agent.yaml');
  expect((await joinLine('https://127.0.0.1:1', file)).code).toBe(EXIT.unavailable);
  expect((await joinLine(services.url, file)).code).toBe(EXIT.ok);
});

test('the command does not join elsewhere than where the file says', async () => {
  const file = join(folder, 'agent.yaml');
  await writeFile(file, `# was: ${services.url}\nregistrar: https://other:8891\nca-pin: ${pin()}\n`);
  const other = await joinLine(services.url, file);
  expect(other).toMatchObject({ code: EXIT.usage, err: expect.stringContaining('names another registrar') });
  await writeFile(file, `registrar: ${services.url}\nca-pin: sha256:${'0'.repeat(64)}\n`);
  const pinned = await joinLine(services.url, file);
  expect(pinned).toMatchObject({ code: EXIT.usage, err: expect.stringContaining('has another pin') });
  expect(services.enrolments).toEqual([]);
});
