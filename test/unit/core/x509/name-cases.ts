import { explicitTag, implicitTag, TAG } from '../../../../core/x509/der.ts';
import { der, derOid } from '../../../../core/x509/der-writer.ts';
import { type ChainCase, chainOf } from './chains.ts';
import {
  altNames,
  basicConstraints,
  commonName,
  directory,
  dns,
  email,
  ip,
  keyUsage,
  name,
  nameConstraints,
  uri,
} from './forge.ts';

const VOUCHED = (
  leafNames: readonly Uint8Array[],
  permitted: readonly Uint8Array[],
  excluded: readonly Uint8Array[] = [],
) =>
  chainOf({
    issuing: { extensions: [nameConstraints(permitted, excluded)] },
    leaf: {
      extensions: [basicConstraints(false), keyUsage('digitalSignature'), altNames(...leafNames)],
    },
  });

type NamesRow = readonly [
  name: string,
  good: boolean,
  leaf: readonly Uint8Array[],
  permitted: readonly Uint8Array[],
  excluded?: readonly Uint8Array[],
  other?: Pick<ChainCase, 'openssl' | 'pkijs'>,
];

const V4_RANGE = [10, 1, 0, 0, 255, 255, 0, 0] as const;
const noEmptyInPkijs = { accepts: true, why: 'pkijs takes an empty constraint for no name' };
const noEmptyInOpenssl = {
  accepts: true,
  why: 'OpenSSL takes an empty constraint literally; Go and we take it for everything',
};

const NAME_ROWS: readonly NamesRow[] = [
  ['a permitted DNS name', true, [dns('a.test')], [dns('a.test')]],
  ['a DNS name below a permitted one', true, [dns('x.a.test')], [dns('a.test')]],
  ['a DNS name that only ends like a permitted one', false, [dns('xa.test')], [dns('a.test')]],
  ['a DNS name beside the permitted one', false, [dns('b.test')], [dns('a.test')]],
  [
    ...([
      'a second DNS name that is not permitted',
      false,
      [dns('a.test'), dns('b.test')],
      [dns('a.test')],
      [],
    ] as const),
    { pkijs: { accepts: true, why: 'for pkijs one permitted name of a kind is enough' } },
  ],
  ['a permitted DNS name in other case', true, [dns('A.TEST')], [dns('a.test')]],
  ['a name at a constraint that begins with a dot', false, [dns('a.test')], [dns('.a.test')]],
  ['a name below a constraint that begins with a dot', true, [dns('x.a.test')], [dns('.a.test')]],
  ['an excluded DNS name', false, [dns('a.test')], [], [dns('a.test')]],
  ['a DNS name below an excluded one', false, [dns('x.a.test')], [dns('a.test')], [dns('.a.test')]],
  ['the DNS name above an excluded one', true, [dns('a.test')], [dns('a.test')], [dns('.a.test')]],
  ['a wildcard below an excluded name', false, [dns('*.a.test')], [], [dns('.a.test')]],
  [
    ...([
      'a wildcard that reaches an excluded name',
      false,
      [dns('*.a.test')],
      [],
      [dns('x.a.test')],
    ] as const),
    {
      openssl: { accepts: true, why: 'OpenSSL compares the wildcard as text' },
      pkijs: { accepts: true, why: 'pkijs compares the wildcard as text' },
    },
  ],
  [
    ...([
      'an excluded DNS name with a dot at its end',
      false,
      [dns('a.test.')],
      [],
      [dns('a.test')],
    ] as const),
    {
      openssl: { accepts: true, why: 'OpenSSL takes the absolute name for another one' },
      pkijs: { accepts: true, why: 'pkijs takes the absolute name for another one' },
    },
  ],
  ['a URI where DNS names are constrained', true, [dns('a.test'), uri('x://b.test/')], [dns('a.test')]],
  ['a permitted URI host', true, [uri('x://a.test/p')], [uri('a.test')]],
  ['a URI host below a permitted one', false, [uri('x://s.a.test/p')], [uri('a.test')]],
  ['a URI host below a domain', true, [uri('x://s.a.test:8/p')], [uri('.a.test')]],
  ['an excluded URI host', false, [uri('x://a.test:8/p')], [], [uri('a.test')]],
  [
    ...([
      'an excluded URI host behind user information',
      false,
      [uri('x://u@a.test:8/p')],
      [],
      [uri('a.test')],
    ] as const),
    {
      openssl: { accepts: true, why: 'OpenSSL takes the user information for a part of the host' },
      pkijs: { accepts: true, why: 'pkijs takes the user information for a part of the host' },
    },
  ],
  [
    ...(['a URI under an empty exclusion', false, [uri('x://a.test/p')], [], [uri('')]] as const),
    { openssl: noEmptyInOpenssl, pkijs: noEmptyInPkijs },
  ],
  [
    ...(['a URI without a host', false, [uri('urn:uuid:1')], [], [uri('a.test')]] as const),
    { pkijs: { accepts: true, why: 'for pkijs what has no host is not excluded' } },
  ],
  [
    ...([
      'a URI whose host is written with an escape',
      false,
      [uri('x://%61.test/p')],
      [],
      [uri('a.test')],
    ] as const),
    {
      openssl: { accepts: true, why: 'OpenSSL compares the escape as text' },
      pkijs: { accepts: true, why: 'pkijs compares the escape as text' },
    },
  ],
  ['an address in a permitted range', true, [ip(10, 1, 2, 3)], [ip(...V4_RANGE)]],
  ['an address beside a permitted range', false, [ip(10, 2, 2, 3)], [ip(...V4_RANGE)]],
  ['an address in an excluded range', false, [ip(10, 1, 2, 3)], [], [ip(...V4_RANGE)]],
  [
    'an IPv6 address where IPv4 is excluded',
    true,
    [ip(...new Array(16).fill(1))],
    [],
    [ip(...new Array(8).fill(0))],
  ],
  ['a mailbox at a permitted host', true, [email('a@a.test')], [email('a.test')]],
  ['a mailbox at another host', false, [email('a@b.test')], [email('a.test')]],
  ['the permitted mailbox', true, [email('a@A.test')], [email('a@a.test')]],
  ['another mailbox than the permitted one', false, [email('b@a.test')], [email('a@a.test')]],
  ['an excluded domain of mailboxes', false, [email('a@s.a.test')], [], [email('.a.test')]],
  [
    ...(['a mailbox under an empty exclusion', false, [email('a@a.test')], [], [email('')]] as const),
    { openssl: noEmptyInOpenssl, pkijs: noEmptyInPkijs },
  ],
  [
    'a directory name below a permitted one',
    true,
    [directory(name(['2.5.4.10', 'o'], ['2.5.4.3', 'x']))],
    [directory(name(['2.5.4.10', 'o'])), directory(commonName('leaf')), directory(commonName('ca'))],
  ],
  [
    ...([
      'a directory name beside the permitted one',
      false,
      [directory(name(['2.5.4.10', 'p']))],
      [directory(name(['2.5.4.10', 'o'])), directory(commonName('leaf')), directory(commonName('ca'))],
      [],
    ] as const),
    { pkijs: { accepts: true, why: 'pkijs constrains the subject alone by directory names' } },
  ],
  [
    'a subject that is not permitted',
    false,
    [dns('a.test')],
    [directory(commonName('other')), directory(commonName('ca'))],
  ],
  ['an excluded subject', false, [dns('a.test')], [], [directory(commonName('leaf'))]],
];

const OTHER_NAMES: readonly ChainCase[] = [
  {
    name: 'the constraints of the anchor hold too',
    rule: 'path.names',
    build: () => chainOf({ root: { extensions: [nameConstraints([dns('a.test')])] } }),
    pkijs: { accepts: true, why: 'pkijs does not look at the constraints of the anchor' },
  },
  {
    name: 'a kind of name that nobody can compare and nobody constrains',
    rule: null,
    build: () => VOUCHED([der(implicitTag(8), Uint8Array.of(42, 3)), dns('a.test')], [dns('a.test')]),
  },
  {
    name: 'the e-mail address in the subject',
    rule: 'path.names',
    build: () =>
      chainOf({
        issuing: { extensions: [nameConstraints([email('a.test')])] },
        leaf: { subject: name(['1.2.840.113549.1.9.1', 'x@b.test', TAG.IA5_STRING]) },
      }),
    pkijs: { accepts: true, why: 'pkijs skips the subject where there is a subjectAltName' },
  },
  {
    name: 'an intermediate breaks the constraints above it',
    rule: 'path.names',
    build: () =>
      chainOf({
        issuing: { extensions: [nameConstraints([dns('leaf.test')])] },
        ca: { extensions: [altNames(dns('b.test'))] },
      }),
  },
  {
    name: 'a kind of name that nobody can compare',
    rule: 'path.names',
    build: () => {
      const otherName = der(explicitTag(0), derOid('1.2.3'), der(explicitTag(0), der(TAG.NULL)));
      return VOUCHED([otherName], [otherName]);
    },
    pkijs: { accepts: true, why: 'pkijs skips kinds of names that it does not know' },
  },
];

/** Names within and outside what a CA above them allows (RFC 5280, 4.2.1.10). */
export const NAME_CASES: readonly ChainCase[] = [
  ...NAME_ROWS.map(([label, good, leaf, permitted, excluded, other]) => ({
    name: `name constraints: ${label}`,
    rule: good ? null : 'path.names',
    build: () => VOUCHED(leaf, permitted, excluded),
    ...other,
  })),
  ...OTHER_NAMES,
];
