import { Certificate as PkijsCertificate, NameConstraints as PkijsConstraints } from 'pkijs';
import { describe, expect, test } from 'vitest';
import { type Certificate, EXTENSION } from '../../../../core/x509/certificate.ts';
import { checkNodeCaCertificate, checkNodeLeaf } from '../../../../core/x509/node-ca.ts';
import { buildPath } from '../../../../core/x509/path.ts';
import { renderPem } from '../../../../core/x509/pem.ts';
import { opensslFacts, ourFacts } from './facts.ts';
import {
  altNames,
  basicConstraints,
  commonName,
  dns,
  email,
  type Forged,
  type Forgery,
  forge,
  ip,
  keyUsage,
  NOON,
  name,
  uri,
} from './forge.ts';
import { certificatesOf, DNS_NAME, forgeBelow, NODE, nodePki, OTHER_NODE } from './node-pki.ts';
import { Openssl } from './openssl.ts';
import { askPkijs, bufferOf } from './pkijs.ts';

const openssl = new Openssl();
const pki = await nodePki();
const { root, nodeCa, leaf } = pki;
const issuing = pki.issuing.certificate;
const seconds = (count: number) => new Date(NOON.getTime() + count * 1000);
const pem = (...certificates: readonly Certificate[]) =>
  certificates.map(({ der }) => renderPem('CERTIFICATE', der)).join('');

function opensslVerdict(end: Certificate, at = NOON, anchor = root, extra: readonly string[] = []) {
  return openssl.run(
    'verify',
    '-x509_strict',
    ...extra,
    '-attime',
    String(at.getTime() / 1000),
    '-CAfile',
    openssl.file('anchor.pem', pem(anchor)),
    '-untrusted',
    openssl.file('untrusted.pem', pem(nodeCa, issuing)),
    openssl.file('leaf.pem', pem(end)),
  );
}

function ourRules(end: Certificate, at = NOON): readonly string[] {
  const result = buildPath({ leaf: end, intermediates: [nodeCa, issuing], anchors: [root], at });
  return result.ok ? [] : [...new Set(result.findings.map(({ rule }) => rule))];
}

const pkijsVerdict = (end: Certificate, at = NOON) =>
  askPkijs({ certificates: [issuing.der, nodeCa.der, end.der], anchors: [root.der], at });

describe('root, issuing CA, node CA and leaf as they are made', () => {
  for (const [what, certificate] of Object.entries({ root, issuing, nodeCa, leaf })) {
    test(`${what}: we read in it what openssl reads in it`, () => {
      const path = openssl.file(`${what}.der`, certificate.der);
      expect(ourFacts(certificate)).toEqual(opensslFacts(openssl, path));
    });
  }

  test('path lengths, key usages and key identifiers are those of the profile', () => {
    const cas = [root, issuing, nodeCa];
    expect(cas.map(({ basicConstraints }) => basicConstraints?.pathLen)).toEqual([2, 1, 0]);
    expect(cas.map(({ keyUsage: usage }) => [...(usage ?? [])])).toEqual([
      ['keyCertSign', 'cRLSign'],
      ['keyCertSign', 'cRLSign'],
      ['keyCertSign'],
    ]);
    expect([...(leaf.keyUsage ?? [])]).toEqual(['digitalSignature']);
    for (const [below, above] of [
      [issuing, root],
      [nodeCa, issuing],
      [leaf, nodeCa],
    ] as const) {
      expect(below.authorityKeyId?.keyId).toEqual(above.subjectKeyId);
      expect(below.subjectKeyId).toHaveLength(20);
    }
  });

  test('the leaf has one DNS name and no other name, and no URI least of all', () => {
    expect(leaf.subjectAltName).toEqual([{ type: 'dns', value: DNS_NAME }]);
    expect(openssl.text('x509', '-in', openssl.file('l.der', leaf.der), '-noout', '-text')).not.toMatch(
      /URI/,
    );
    expect(leaf.subject.text).toBe(`CN=${NODE.nodeId}`);
  });

  test('openssl and pkijs read the name constraints as they are meant', () => {
    const text = openssl.text(
      'x509',
      '-in',
      openssl.file('c.der', nodeCa.der),
      '-noout',
      '-ext',
      'nameConstraints',
    );
    expect(text.split('\n').map((line) => line.trim())).toEqual([
      'X509v3 Name Constraints: critical',
      'Permitted:',
      `DNS:${DNS_NAME}`,
      'Excluded:',
      `DNS:.${DNS_NAME}`,
      'URI:example.test',
      'URI:.example.test',
      'URI:',
      'IP:0.0.0.0/0.0.0.0',
      'IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0',
      'email:',
      '',
    ]);
    const parsed = PkijsCertificate.fromBER(bufferOf(nodeCa.der));
    const constraints = parsed.extensions?.find(({ extnID }) => extnID === EXTENSION.NAME_CONSTRAINTS);
    const value = constraints?.parsedValue;
    if (!(value instanceof PkijsConstraints)) throw new Error('pkijs reads no name constraints');
    const { permittedSubtrees, excludedSubtrees } = value;
    const shown = (subtrees: PkijsConstraints['permittedSubtrees'] = []) =>
      subtrees.map(({ base }) => [base.type, typeof base.value === 'string' ? base.value : 'address']);
    expect(shown(permittedSubtrees)).toEqual([[2, DNS_NAME]]);
    expect(shown(excludedSubtrees)).toEqual([
      [2, `.${DNS_NAME}`],
      [6, 'example.test'],
      [6, '.example.test'],
      [6, ''],
      [7, 'address'],
      [7, 'address'],
      [1, ''],
    ]);
  });

  test('the leaf is good for us, for openssl with either anchor, and for pkijs', async () => {
    expect(ourRules(leaf)).toEqual([]);
    expect(opensslVerdict(leaf)).toMatchObject({ ok: true });
    expect(opensslVerdict(leaf, NOON, issuing, ['-partial_chain'])).toMatchObject({ ok: true });
    expect(await pkijsVerdict(leaf)).toEqual({ accepts: true, message: '' });
  });

  test('a relying party whose clock is a minute late takes the leaf, and the CA when two are', async () => {
    expect(leaf.notBefore).toEqual(seconds(-60));
    expect(nodeCa.notBefore).toEqual(seconds(-120));
    for (const [at, good] of [
      [seconds(-60), true],
      [seconds(-61), false],
      [new Date(leaf.notAfter.getTime() - 1000), true],
      [new Date(leaf.notAfter.getTime() + 1000), false],
    ] as const) {
      expect(ourRules(leaf, at)).toEqual(good ? [] : ['path.dates']);
      expect(opensslVerdict(leaf, at).ok).toBe(good);
      expect((await pkijsVerdict(leaf, at)).accepts).toBe(good);
    }
    expect(ourRules(nodeCa, seconds(-120))).toEqual([]);
    expect(ourRules(nodeCa, seconds(-121))).toEqual(['path.dates']);
  });

  test('they have no finding, and the file holds leaf, node CA and issuing CA in this order', () => {
    const key = pki.nodeKey.publicKey.export({ type: 'spki', format: 'der' });
    const expected = { ...NODE, publicKeySpki: new Uint8Array(key), notAfter: nodeCa.notAfter };
    expect(checkNodeCaCertificate(nodeCa, expected)).toEqual([]);
    expect(checkNodeLeaf(leaf, NODE, nodeCa)).toEqual([]);
    expect(certificatesOf(pki.material.pem)).toEqual([leaf.der, nodeCa.der, issuing.der]);
  });
});

const own = dns(DNS_NAME);
const forgeOwn = (forgery: Forgery) => forgeBelow(pki, forgery);
const withNames = (...names: readonly Uint8Array[]): Forgery => ({
  extensions: [basicConstraints(false), keyUsage('digitalSignature'), altNames(...names)],
});

describe('issue.profile: what a node that holds the key of its CA can make of it', () => {
  const ATTACKS: readonly (readonly [
    what: string,
    rule: string,
    Forgery,
    others?: { openssl?: true; pkijs?: true },
  ])[] = [
    ['the name of another node', 'path.names', withNames(dns(OTHER_NODE))],
    [
      'the name of another node beside its own',
      'path.names',
      withNames(own, dns(OTHER_NODE)),
      { pkijs: true },
    ],
    ['a name below its own', 'path.names', withNames(dns(`x.${DNS_NAME}`))],
    ['a wildcard below its own name', 'path.names', withNames(dns(`*.${DNS_NAME}`))],
    ['the domain of all nodes', 'path.names', withNames(dns(NODE.nodesDomain))],
    ['a SPIFFE id of the trust domain', 'path.names', withNames(own, uri('spiffe://example.test/admin'))],
    [
      'a SPIFFE id below the trust domain',
      'path.names',
      withNames(own, uri('spiffe://x.example.test/admin')),
    ],
    [
      'a SPIFFE id of another trust domain',
      'path.names',
      withNames(own, uri('spiffe://other.test/admin')),
      { openssl: true, pkijs: true },
    ],
    ['a URN', 'path.names', withNames(own, uri('urn:uuid:1')), { pkijs: true }],
    ['an IPv4 address', 'path.names', withNames(own, ip(10, 0, 0, 1))],
    ['an IPv6 address', 'path.names', withNames(own, ip(...new Uint8Array(16)))],
    ['a mailbox', 'path.names', withNames(own, email('a@b.test')), { openssl: true, pkijs: true }],
    [
      'a mailbox in the subject',
      'path.names',
      { subject: name(['1.2.840.113549.1.9.1', 'a@b.test', 0x16]), ...withNames(own) },
      { openssl: true, pkijs: true },
    ],
    [
      'a certificate signed for longer',
      'path.dates',
      { ...withNames(own), notBefore: seconds(-600), notAfter: seconds(-300) },
    ],
  ];
  for (const [what, rule, forgery, others = {}] of ATTACKS) {
    test(`${what} is refused${Object.keys(others)
      .map((program) => `, though not by ${program}`)
      .join('')}`, async () => {
      const { certificate } = forgeOwn(forgery);
      expect(ourRules(certificate)).toEqual([rule]);
      expect(opensslVerdict(certificate).ok).toBe(others.openssl === true);
      expect((await pkijsVerdict(certificate)).accepts).toBe(others.pkijs === true);
    });
  }

  const subCa = (subject: string) => {
    const extensions = [basicConstraints(true), keyUsage('keyCertSign')];
    return forgeOwn({ extensions, subject: commonName(subject) });
  };
  const judgeBelow = (ca: Forged, forgery: Forgery) => {
    const below = forge({ subject: commonName('x'), issuer: ca, ...forgery });
    const intermediates = [ca.certificate, nodeCa, issuing];
    const result = buildPath({ leaf: below.certificate, intermediates, anchors: [root], at: NOON });
    return result.ok ? [] : [...new Set(result.findings.map(({ rule }) => rule))];
  };

  test('path length 0: a CA below it is refused', () => {
    expect(judgeBelow(subCa('other'), withNames(own))).toEqual(['path.length']);
  });

  test('a CA that names itself as its issuer does not count, and lifts no constraint', () => {
    expect(judgeBelow(subCa(NODE.nodeId), withNames(own))).toEqual([]);
    expect(judgeBelow(subCa(NODE.nodeId), withNames(dns(OTHER_NODE)))).toEqual(['path.names']);
  });
});
