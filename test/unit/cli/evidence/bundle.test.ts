import { createPublicKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toBase64 } from '../../../../core/bytes/encoding.ts';
import type { EvidenceBundle } from '../../../../core/messages/bundle.ts';
import { renderPem } from '../../../../core/x509/pem.ts';
import type { KeyedCertificate } from '../../../../platform/pki/certify.ts';
import {
  createServiceCa,
  issueClientCertificate,
  issueSigningCertificate,
} from '../../../../platform/pki/service-ca.ts';
import { RESULTS_URI } from '../../../../platform/results/signer.ts';
import { openBundle, sealBundle } from '../../../../policies/bundle/format.ts';
import { EK_CHAIN, policyOf, realBundle } from '../../policies/bundle/real.ts';
import { assay } from '../policy/harness.ts';

const VALIDITY = { notBefore: new Date('2026-01-01'), notAfter: new Date('2027-01-01') };
let folder: string;
let ca: KeyedCertificate;
let signer: KeyedCertificate;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bundle-'));
  ca = await createServiceCa({ commonName: 'Service CA', ...VALIDITY });
  signer = await issueSigningCertificate({ ca, commonName: 'results', roleUri: RESULTS_URI, ...VALIDITY });
  write('ca.crt', renderPem('CERTIFICATE', ca.certificate.der));
  write('roots.pem', renderPem('CERTIFICATE', EK_CHAIN.at(-1) ?? new Uint8Array()));
  write('strict.yaml', policyOf(4, '00'.repeat(32)));
  write('good.json', sealed(realBundle(), signer));
});
afterAll(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);
function write(name: string, text: string): string {
  writeFileSync(at(name), text);
  return at(name);
}
/** A bundle that names `by` and is signed with its key, or with another. */
function sealed(bundle: EvidenceBundle, by: KeyedCertificate, key = by.privateKey): string {
  const verifier = { ...bundle.verifier, chain: [toBase64(by.certificate.der)] };
  return sealBundle({ ...bundle, verifier }, key, createPublicKey(key));
}
async function verify(file: string, ...more: string[]) {
  const { code, out } = await assay(['--json', 'bundle', 'verify', at(file), '--ca', at('ca.crt'), ...more]);
  return { code, report: JSON.parse(out) };
}

describe('assay bundle verify', () => {
  test('a genuine bundle of a real boot is judged as it was', async () => {
    const { code, report } = await verify('good.json', '--roots', at('roots.pem'));
    expect({ code, ...report }).toMatchObject({
      ...{ code: 0, genuine: true, agrees: true, ekCertified: true },
      recorded: { outcome: 'pass', policy: 'real@1' },
      found: {
        outcome: 'pass',
        tier: 'partial',
        tierReasons: [{ rule: 'tier.files' }, { rule: 'tier.channel' }],
      },
    });
  });

  test('the words for people say who signed, what was found, and on what that does not rest', async () => {
    const { out } = await assay(['bundle', 'verify', at('good.json'), '--ca', at('ca.crt')]);
    expect(out).toMatch(/^signed +by https:\/\/verifier.example$/m);
    expect(out).toMatch(/^found +pass under real$/m);
    expect(out).toMatch(/^agrees +yes$/m);
    expect(out).toContain('name yours with --roots');
  });

  test('another policy decides by itself: exit code 1 when it does not pass', async () => {
    const { code, report } = await verify('good.json', '--policy', at('strict.yaml'));
    expect(code).toBe(1);
    expect(report).toMatchObject({ genuine: true, agrees: null, found: { outcome: 'fail' } });
    expect(report.found.reasons.map(({ rule }: { rule: string }) => rule)).toEqual(['pcr.value']);
  });

  test('a recorded verdict that the evidence does not give is told, though it is signed', async () => {
    const lie = realBundle({
      verdict: { outcome: 'fail', reasons: [{ rule: 'pcr.value', pcr: 4, message: '' }] },
    });
    write('lie.json', sealed(lie, signer));
    const { code, report } = await verify('lie.json');
    expect({ code, ...report }).toMatchObject({ code: 1, agrees: false, onlyRecorded: ['pcr.value/4'] });
  });

  test('bundle.signer: nobody, another CA, a certificate for TLS, one that had ended when it judged', async () => {
    const stranger = await createServiceCa({ commonName: 'Service CA', ...VALIDITY });
    const issue = (changes: object) =>
      issueSigningCertificate({ ca, commonName: 'results', roleUri: RESULTS_URI, ...VALIDITY, ...changes });
    const tls = await issueClientCertificate({ ca, commonName: 'tls', roleUri: RESULTS_URI, ...VALIDITY });
    const cases: [string, string][] = [
      [sealBundle(realBundle(), signer.privateKey, createPublicKey(signer.privateKey)), 'does not say who'],
      [sealed(realBundle(), await issue({ ca: stranger })), 'not vouched for'],
      [sealed(realBundle(), tls), 'not vouched for'],
      [sealed(realBundle(), await issue({ notAfter: new Date('2026-02-01') })), 'not vouched for'],
      [sealed(realBundle(), await issue({ roleUri: 'urn:assay:role:admin' })), 'is not named'],
    ];
    for (const [text, problem] of cases) {
      write('case.json', text);
      const { code, report } = await verify('case.json');
      expect({ code, ...report }).toMatchObject({ code: 1, genuine: false, agrees: true });
      expect(report.problem).toContain(problem);
    }
  });

  test('bundle.signature: another key, or one changed character', async () => {
    const other = await issueSigningCertificate({ ca, commonName: 'o', roleUri: RESULTS_URI, ...VALIDITY });
    write('other.json', sealed(realBundle(), signer, other.privateKey));
    expect((await verify('other.json')).report.problem).toContain('not signed by the key of CN=results');
    const { envelope, bundle } = openBundle(sealed(realBundle(), signer));
    const changed = { ...bundle, judgedAt: '2026-11-23T12:00:01.000Z' };
    const payload = Buffer.from(
      Buffer.from(envelope.payload).toString().replace(bundle.judgedAt, changed.judgedAt),
    );
    const [signature] = envelope.signatures;
    const text = JSON.stringify({
      payloadType: envelope.payloadType,
      payload: payload.toString('base64'),
      signatures: [{ keyid: signature?.keyid, sig: toBase64(signature?.sig ?? new Uint8Array()) }],
    });
    write('changed.json', text);
    expect((await verify('changed.json')).report.problem).toContain('not signed by the key of CN=results');
  });

  test('what is no bundle gives exit code 2 and says what is wrong', async () => {
    for (const text of [
      '',
      '{}',
      'hello',
      '{"payloadType":"application/json","payload":"","signatures":[]}',
    ]) {
      write('broken.json', text);
      const { code, err } = await assay(['bundle', 'verify', at('broken.json'), '--ca', at('ca.crt')]);
      expect(code).toBe(2);
      expect(err).toMatch(/^error: (envelope|bundle)/);
    }
  });
});

test('assay appraise and assay policy test take a bundle for evidence', async () => {
  const files = ['--policy', write('own.yaml', realBundle().policy.document), '--evidence', at('good.json')];
  expect(JSON.parse((await assay(['--json', 'appraise', ...files])).out)).toMatchObject({
    outcome: 'pass',
    tier: 'partial',
  });
  const cases = `assay: policy-test/v1
cases:
  - { name: as it was, policy: own.yaml, evidence: good.json, verdict: pass }
  - { name: stricter, policy: strict.yaml, evidence: good.json, verdict: fail, reasons: [pcr.value] }
`;
  const { code, out } = await assay(['policy', 'test', write('cases.yaml', cases)]);
  expect(out).toBe('TAP version 14\n1..2\nok 1 - as it was\nok 2 - stricter');
  expect(code).toBe(0);
});
