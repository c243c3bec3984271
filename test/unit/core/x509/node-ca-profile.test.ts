import { describe, expect, test } from 'vitest';
import { EXTENSION } from '../../../../core/x509/certificate.ts';
import { TAG } from '../../../../core/x509/der.ts';
import { der } from '../../../../core/x509/der-writer.ts';
import type { NameConstraints } from '../../../../core/x509/extensions.ts';
import type { GeneralName } from '../../../../core/x509/general-name.ts';
import {
  checkNodeCaCertificate,
  checkNodeLeaf,
  type NodeCaExpectation,
  nodeCaProfile,
} from '../../../../core/x509/node-ca.ts';
import {
  altNames,
  basicConstraints,
  commonName,
  dns,
  email,
  extension,
  type Forgery,
  forge,
  ip,
  keyUsage,
  name,
  nameConstraints,
  newKey,
  uri,
} from './forge.ts';
import { DNS_NAME, forgeBelow, NODE, nodePki, OTHER_NODE } from './node-pki.ts';

const pki = await nodePki();
const { nodeCa } = pki;
const issuing = pki.issuing.certificate;
const own = dns(DNS_NAME);
const spki = nodeCa.spki;
const confined = constraintsOf(nodeCaProfile(NODE).nameConstraints);

function constraintsOf({ permitted, excluded }: NameConstraints): Uint8Array {
  return nameConstraints(permitted.map(generalName), excluded.map(generalName));
}

function generalName(one: GeneralName): Uint8Array {
  switch (one.type) {
    case 'dns':
      return dns(one.value);
    case 'uri':
      return uri(one.value);
    case 'email':
      return email(one.value);
    case 'ip':
      return ip(...one.value);
    default:
      throw new Error('no constraint of ours');
  }
}

describe('issue.profile: each departure of a node CA has one finding', () => {
  const ISSUER = {
    der: issuing.der,
    certificate: issuing,
    key: { privateKey: pki.issuing.privateKey, publicKey: issuing.publicKey },
    ski: issuing.subjectKeyId ?? null,
  };
  const CA = basicConstraints(true, 0);
  const USAGE = keyUsage('keyCertSign');
  const { permitted, excluded } = nodeCaProfile(NODE).nameConstraints;
  const written = nodeCa.extensions.find(({ oid }) => oid === EXTENSION.NAME_CONSTRAINTS);
  const constraintsValue = written?.value ?? new Uint8Array();
  const good: Forgery = {
    subject: commonName(NODE.nodeId),
    issuer: ISSUER,
    extensions: [CA, USAGE, confined],
    key: pki.nodeKey,
    notAfter: nodeCa.notAfter,
  };
  const check = (forgery: Forgery, expected: Partial<NodeCaExpectation> = {}) =>
    checkNodeCaCertificate(forge({ ...good, ...forgery }).certificate, {
      ...NODE,
      publicKeySpki: spki,
      notAfter: nodeCa.notAfter,
      ...expected,
    });

  test('none when nothing departs', () => {
    expect(check({})).toEqual([]);
  });

  const DEPARTURES: readonly (readonly [what: string, problem: RegExp, Forgery])[] = [
    ['another subject', /subject is not/, { subject: commonName('other') }],
    [
      'a second attribute in its subject',
      /subject is not/,
      { subject: name(['2.5.4.3', NODE.nodeId], ['2.5.4.10', 'o']) },
    ],
    ['its name as another attribute', /subject is not/, { subject: name(['2.5.4.10', NODE.nodeId]) }],
    ['no CA', /CA with path length 0/, { extensions: [basicConstraints(false), USAGE, confined] }],
    ['path length 1', /CA with path length 0/, { extensions: [basicConstraints(true, 1), USAGE, confined] }],
    ['no path length', /CA with path length 0/, { extensions: [basicConstraints(true), USAGE, confined] }],
    [
      'that it may sign CRLs',
      /keyCertSign alone/,
      { extensions: [CA, keyUsage('keyCertSign', 'cRLSign'), confined] },
    ],
    ['another key usage', /keyCertSign alone/, { extensions: [CA, keyUsage('digitalSignature'), confined] }],
    [
      'one exclusion less',
      /name constraints/,
      { extensions: [CA, USAGE, constraintsOf({ permitted, excluded: excluded.slice(1) })] },
    ],
    [
      'one permission more',
      /name constraints/,
      {
        extensions: [
          CA,
          USAGE,
          constraintsOf({ permitted: [...permitted, { type: 'dns', value: 'a.test' }], excluded }),
        ],
      },
    ],
    [
      'the name constraints of another node',
      /name constraints/,
      {
        extensions: [CA, USAGE, constraintsOf({ permitted: [{ type: 'dns', value: OTHER_NODE }], excluded })],
      },
    ],
    [
      'basicConstraints that are not critical',
      /not critical/,
      { extensions: [basicConstraints(true, 0, false), USAGE, confined] },
    ],
    [
      'name constraints that are not critical',
      /not critical/,
      { extensions: [CA, USAGE, extension(EXTENSION.NAME_CONSTRAINTS, false, constraintsValue)] },
    ],
    ['a subjectAltName', /subjectAltName/, { extensions: [CA, USAGE, confined, altNames(own)] }],
    ['no subjectKeyIdentifier', /key identifier/, { ski: null, aki: ISSUER.ski }],
    ['no authorityKeyIdentifier', /key identifier/, { aki: null }],
    ['a longer life', /longer than the node/, { notAfter: new Date(nodeCa.notAfter.getTime() + 1000) }],
    ['another key', /for another key/, { key: newKey() }],
  ];
  for (const [what, problem, forgery] of DEPARTURES) {
    test(what, () => {
      const findings = check(forgery);
      expect(findings).toHaveLength(1);
      expect(findings[0]).toMatchObject({ rule: 'issue.profile', message: expect.stringMatching(problem) });
    });
  }

  test('a key on another curve', () => {
    const key = newKey('P-384');
    const publicKeySpki = new Uint8Array(key.publicKey.export({ type: 'spki', format: 'der' }));
    const findings = check({ key }, { publicKeySpki });
    expect(findings.map(({ message }) => message)).toEqual([expect.stringMatching(/P-256/)]);
  });

  test('a key that is none', () => {
    const publicKeySpki = Uint8Array.from(spki, (octet, i) => (i === spki.length - 1 ? octet ^ 1 : octet));
    const findings = check({ spki: publicKeySpki }, { publicKeySpki });
    expect(findings.map(({ message }) => message)).toEqual([expect.stringMatching(/P-256/)]);
  });

  test('a subject in another spelling than ours is a mistake of the caller', () => {
    for (const change of [
      { nodeId: NODE.nodeId.toUpperCase() },
      { nodeId: '0f1e2d3c-4b5a-4877-9988-aabbccddeeff' },
      { nodesDomain: 'Nodes.example.test' },
      { nodesDomain: '.example.test' },
      { nodesDomain: '' },
      { trustDomain: 'example.test.' },
      { trustDomain: 'a b' },
    ]) {
      expect(() => nodeCaProfile({ ...NODE, ...change }), JSON.stringify(change)).toThrow(RangeError);
    }
  });
});

describe('issue.profile: each departure of a leaf has one finding', () => {
  const GOOD = [basicConstraints(false), keyUsage('digitalSignature'), altNames(own)];
  const check = (forgery: Forgery) =>
    checkNodeLeaf(forgeBelow(pki, { extensions: GOOD, ...forgery }).certificate, NODE, nodeCa);

  test('none when nothing departs', () => {
    expect(check({})).toEqual([]);
  });

  const usage = (critical: boolean) =>
    extension(EXTENSION.KEY_USAGE, critical, der(TAG.BIT_STRING, Uint8Array.of(7, 0x80)));
  const DEPARTURES: readonly (readonly [what: string, problem: RegExp, Forgery])[] = [
    ['another subject', /subject is not/, { subject: commonName('other') }],
    ['a CA', /it is a CA/, { extensions: [basicConstraints(true), usage(true), altNames(own)] }],
    [
      'another key usage',
      /digitalSignature alone/,
      { extensions: [keyUsage('digitalSignature', 'keyAgreement'), altNames(own)] },
    ],
    ['a key usage that is not critical', /not critical/, { extensions: [usage(false), altNames(own)] }],
    ['no name', /its names are none/, { extensions: [usage(true)] }],
    ['its name twice', /its names are/, { extensions: [usage(true), altNames(own, own)] }],
    ['a longer life', /outlives/, { notAfter: new Date(nodeCa.notAfter.getTime() + 1000) }],
    [
      'an unknown critical extension',
      /critical extension/,
      { extensions: [...GOOD, extension('1.2.3.4', true, der(TAG.NULL))] },
    ],
    ['a key on another curve', /P-256/, { key: newKey('P-384') }],
    [
      'an issuer in another spelling',
      /not written as/,
      { issuerName: name(['2.5.4.3', NODE.nodeId, TAG.PRINTABLE_STRING]) },
    ],
  ];
  for (const [what, problem, forgery] of DEPARTURES) {
    test(what, () => {
      const findings = check(forgery);
      expect(findings).toHaveLength(1);
      expect(findings[0]).toMatchObject({ rule: 'issue.profile', message: expect.stringMatching(problem) });
    });
  }

  test('another name has two: it is not its own, and the constraints exclude it', () => {
    for (const other of [dns(OTHER_NODE), uri('spiffe://example.test/admin'), ip(10, 0, 0, 1)]) {
      expect(check({ extensions: [usage(true), altNames(other)] })).toHaveLength(2);
    }
  });
});
