import { hash } from 'node:crypto';
import { Agent, request } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseCertificate } from '../../../core/x509/certificate.ts';
import { parsePem } from '../../../core/x509/pem.ts';
import { readChain, refuseSigner } from '../../../platform/results/signer.ts';
import { isSealedBy, openBundle } from '../../../policies/bundle/format.ts';
import { judgeBundle } from '../../../policies/bundle/judge.ts';
import { parsePolicy } from '../../../policies/language/parse.ts';
import { useDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { emptyTables, Lab } from './lab.ts';
import { fileScene } from './measured-scene.ts';

const database = useDatabase();
let lab: Lab;
let dispatcher: Agent;

beforeEach(async () => {
  await emptyTables(database());
  await database().pool.query('TRUNCATE digest_set');
  lab = new Lab(database());
  const { pem, admin } = await lab.pki;
  const { certificate, key } = await admin();
  dispatcher = new Agent({ connect: { ca: pem, cert: certificate, key } });
});
afterEach(async () => {
  await dispatcher.destroy();
  await lab.close();
});

async function scene() {
  const { resultSigner } = await lab.pki;
  return fileScene(lab, { resultSigner });
}

async function call(url: string, path: string, method: 'GET' | 'POST' = 'GET') {
  const { statusCode, body } = await request(new URL(path, url), { dispatcher, method });
  return { status: statusCode, text: await body.text() };
}

/** Opens a bundle as somebody would who has only the service CA. */
async function open(text: string) {
  const opened = openBundle(text);
  const { verifier, judgedAt } = opened.bundle;
  const [signer, ...rest] = readChain(verifier.chain);
  if (!signer) throw new Error('nobody signed it');
  const anchor = parseCertificate(parsePem('CERTIFICATE', (await lab.pki).pem));
  expect(refuseSigner([signer, ...rest], [anchor], new Date(judgedAt))).toBeUndefined();
  expect(isSealedBy(opened, [signer.publicKey])).toBe(true);
  return opened.bundle;
}

const sha256 = (content: string) => hash('sha256', content);
const OTHER = parsePolicy(`assay: policy/v1
name: other
freshness: { interval: 20s, trust-for: 60s }
reaction: ban
pcrs: { bank: sha256, require: 0-7 }
ima:
  files:
    '/usr/bin/ls': ['${sha256('ls')}']
    '/usr/bin/date': ['${sha256('date')}']
`);

describe('an evidence bundle', () => {
  test('of a pass is judged to the same end away from the verifier, and under another policy', async () => {
    const { id, verifier } = await scene();
    // A second pass would be of the entries since the first one alone.
    await until('the first pass', () => lab.isTrusted(id));
    const bundle = await open((await call(verifier.url, `/v1/nodes/${id}/bundle`)).text);
    expect(bundle.policy).toMatchObject({ name: 'files', version: 1 });
    expect(judgeBundle(bundle)).toMatchObject({ agrees: true, verdict: { outcome: 'pass' } });
    expect(judgeBundle(bundle, { policy: OTHER }).verdict.outcome).toBe('pass');
  });

  test('of a later pass shows the new entries alone, goes on from what was judged, and says so', async () => {
    const { id, files, verifier } = await scene();
    await lab.attest(id);
    files.use('/usr/bin/date', 'date');
    await lab.attest(id);
    const bundle = await open((await call(verifier.url, `/v1/nodes/${id}/bundle`)).text);
    expect(bundle.logs.ima).toMatchObject({ firstEntry: 2, complete: true });
    const judged = judgeBundle(bundle);
    expect(judged).toMatchObject({ agrees: true, verdict: { outcome: 'pass' } });
    expect(judged.limits.join()).toContain('begins at entry 2');
    // Another policy has judged nothing of what came before.
    expect(judgeBundle(bundle, { policy: OTHER }).verdict.outcome).toBe('inconclusive');
  });

  test('made whole holds all entries, and is judged under any policy', async () => {
    const { id, files, verifier, asked } = await scene();
    await lab.attest(id);
    files.use('/usr/bin/date', 'date');
    await lab.attest(id);
    const { status, text } = await call(verifier.url, `/v1/nodes/${id}/bundle`, 'POST');
    expect(status).toBe(200);
    expect(asked.at(-1)).toBe(0);
    const bundle = await open(text);
    expect(bundle.logs.ima).toMatchObject({ firstEntry: 0 });
    expect(judgeBundle(bundle)).toMatchObject({ agrees: true });
    expect(judgeBundle(bundle, { policy: OTHER }).verdict.outcome).toBe('pass');
  });

  test('of a fail gives the reasons again; without digest sets it says which are missing', async () => {
    const { id, files, verifier } = await scene();
    await lab.attest(id);
    files.use('/usr/local/bin/evil', 'evil');
    await lab.attest(id);
    const { rows } = await database().pool.query<{ id: string }>(
      "SELECT id FROM verdict WHERE outcome = 'fail'",
    );
    const path = `/v1/verdicts/${rows[0]?.id}/bundle`;
    const bundle = await open((await call(verifier.url, path)).text);
    expect(bundle.verdict).toMatchObject({ outcome: 'fail', reasons: [{ rule: 'ima.digest' }] });
    expect(judgeBundle(bundle)).toMatchObject({ agrees: true });
    const without = await open((await call(verifier.url, `${path}?sets=false`)).text);
    expect(judgeBundle(without).verdict.findings.map(({ rule }) => rule)).toEqual(['policy.missing']);
    // A node that fails has no whole pass to show.
    expect((await call(verifier.url, `/v1/nodes/${id}/bundle`, 'POST')).status).toBe(409);
  });

  test('of evidence that a release before kept is refused with what to do', async () => {
    const { id, verifier } = await scene();
    await lab.attest(id);
    await verifier.close();
    await database().pool.query("UPDATE last_evidence SET evidence = evidence - 'policy'");
    const { resultSigner } = await lab.pki;
    const next = await lab.verifier({ 'keep-evidence-every': 0 }, { resultSigner });
    const { status, text } = await call(next.url, `/v1/nodes/${id}/bundle`);
    expect(status).toBe(409);
    expect(text).toContain('attest the node again');
    // Evidence that somebody asks for is kept, though no other is.
    expect((await call(next.url, `/v1/nodes/${id}/bundle`, 'POST')).status).toBe(200);
  });
});
