import { expect, test } from 'vitest';
import { spireSnippet } from '../../../issuer/spire/snippet.ts';

const input = {
  trustDomain: 'example.org',
  anchor: 'root',
} as const;

test('the agent id comes from the issuer name alone, behind a guard', () => {
  const { server } = spireSnippet(input);
  const template = /^ +agent_path_template = "(.*)"$/m.exec(server)?.[1];
  expect(template).toBe(
    '/x509pop/{{ if regexMatch `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$` .Issuer.CommonName }}{{ .Issuer.CommonName }}{{ else }}{{ fail `issuer is not a node CA` }}{{ end }}',
  );
});

test('the server has the anchor as a file, two intermediates, short SVIDs, and the warning about the bundle', () => {
  const { server } = spireSnippet(input);
  expect(server).toContain('ca_bundle_path = "/etc/spire/node-root.pem"');
  expect(server).toContain('max_intermediates = 2');
  expect(server).toMatch(/default_x509_svid_ttl = "\d+m"/);
  expect(server).toContain("Never add it to SPIRE's trust bundle");
  expect(server).toContain('trust_domain = "example.org"');
});

test('a group can be the anchor', () => {
  const { server } = spireSnippet({ ...input, anchor: { group: 'web' } });
  expect(server).toContain('ca_bundle_path = "/etc/spire/node-issuing-web.pem"');
  expect(server).toContain('assay spire anchor --group web > /etc/spire/node-issuing-web.pem');
});

test('the agent reads key and certificate from one file, which is renewed in one step', () => {
  const { agent } = spireSnippet(input);
  const paths = [...agent.matchAll(/(private_key_path|certificate_path) = "(.*)"/g)].map(([, key, path]) => [
    key,
    path,
  ]);
  expect(paths).toEqual([
    ['private_key_path', '/run/assay-agent/node.pem'],
    ['certificate_path', '/run/assay-agent/node.pem'],
  ]);
});

test('braces are balanced, as HCL wants them', () => {
  for (const text of Object.values(spireSnippet(input))) {
    const plain = text.replace(/#.*$/gm, '').replace(/"[^"]*"/g, '""');
    expect(plain.split('{')).toHaveLength(plain.split('}').length);
  }
});
