import { ParseError } from '../errors.ts';
import type { Finding } from '../finding.ts';
import { isNodeId } from '../identity.ts';
import { type Certificate, EXTENSION } from './certificate.ts';
import type { KeyUsage, NameConstraints } from './extensions.ts';
import type { GeneralName } from './general-name.ts';
import { ATTRIBUTE, onlyAttribute } from './name.ts';
import { nameViolations, renderGeneralName } from './name-constraints.ts';

/** Which node, and in which name spaces. */
export interface NodeCaSubject {
  readonly nodeId: string;
  /** Domain below which each node has one DNS name, such as `nodes.example.org`. */
  readonly nodesDomain: string;
  /** SPIFFE trust domain that the nodes join; no name in it may come from a node. */
  readonly trustDomain: string;
}

/** What the CA certificate of one node says; see createNodeCaCertificate. */
export interface NodeCaProfile {
  readonly commonName: string;
  /** The one DNS name that certificates below may carry. */
  readonly dnsName: string;
  readonly pathLen: 0;
  readonly keyUsage: readonly KeyUsage[];
  readonly nameConstraints: NameConstraints;
}

const DOMAIN =
  /^(?=.{1,190}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;

/**
 * The profile of a node's CA. Its name constraints leave exactly one DNS name to certificates below: name constraints
 * are for each kind of name apart, so every other kind is excluded as a whole. An empty URI constraint excludes all of
 * them for Go; other programs see the two that name the trust domain.
 *
 * @throws {RangeError} for a node id or domain in another spelling than ours
 */
export function nodeCaProfile({ nodeId, nodesDomain, trustDomain }: NodeCaSubject): NodeCaProfile {
  if (!isNodeId(nodeId)) throw new RangeError('a node id is expected, a lower-case UUID of version 8');
  for (const domain of [nodesDomain, trustDomain]) {
    if (!DOMAIN.test(domain))
      throw new RangeError('a domain name in lower case is expected, without a dot at its end');
  }
  const dnsName = `${nodeId}.${nodesDomain}`;
  return {
    commonName: nodeId,
    dnsName,
    pathLen: 0,
    keyUsage: ['keyCertSign'],
    nameConstraints: {
      permitted: [{ type: 'dns', value: dnsName }],
      excluded: [
        { type: 'dns', value: `.${dnsName}` },
        { type: 'uri', value: trustDomain },
        { type: 'uri', value: `.${trustDomain}` },
        { type: 'uri', value: '' },
        { type: 'ip', value: new Uint8Array(8) },
        { type: 'ip', value: new Uint8Array(32) },
        { type: 'email', value: '' },
      ],
    },
  };
}

export interface NodeCaExpectation extends NodeCaSubject {
  /** DER of the key that the node asked a certificate for. */
  readonly publicKeySpki?: Uint8Array;
  /** When trust in the node ends; the certificate must not outlive it. */
  readonly notAfter?: Date;
}

/**
 * What in a certificate departs from the profile of this node's CA (rule `issue.profile`). Its signature and dates are
 * for buildPath.
 */
export function checkNodeCaCertificate(
  certificate: Certificate,
  expected: NodeCaExpectation,
): readonly Finding[] {
  const profile = nodeCaProfile(expected);
  const { basicConstraints, keyUsage, nameConstraints } = certificate;
  const { notAfter, publicKeySpki } = expected;
  return findings([
    [hasOnlyCommonName(certificate, profile.commonName), `its subject is not CN=${profile.commonName} alone`],
    [basicConstraints?.ca === true && basicConstraints.pathLen === 0, 'it is not a CA with path length 0'],
    [isSet(keyUsage, profile.keyUsage), 'its key usage is not keyCertSign alone'],
    [
      nameConstraints !== undefined && sameConstraints(nameConstraints, profile.nameConstraints),
      'its name constraints are not those of this node',
    ],
    [areCritical(certificate, NODE_CA_CRITICAL), 'an extension that confines it is not critical'],
    [certificate.subjectAltName === undefined, 'it has a subjectAltName'],
    [hasKeyIds(certificate), 'it lacks a key identifier'],
    [isEcdsaP256(certificate), 'its key is not on P-256'],
    [!notAfter || certificate.notAfter <= notAfter, 'it is valid for longer than the node is trusted'],
    [!publicKeySpki || sameBytes(certificate.spki, publicKeySpki), 'it is for another key'],
  ]);
}

/**
 * What in a leaf departs from what SPIRE's x509pop attestor may be shown (rule `issue.profile`). Its signature and
 * dates are for buildPath.
 *
 * @param nodeCa the certificate of the CA that is to have signed it
 */
export function checkNodeLeaf(
  leaf: Certificate,
  expected: NodeCaSubject,
  nodeCa: Certificate,
): readonly Finding[] {
  const profile = nodeCaProfile(expected);
  const names = leaf.subjectAltName ?? [];
  const isOwnName = names.length === 1 && isDns(names[0], profile.dnsName);
  return findings([
    [hasOnlyCommonName(leaf, profile.commonName), `its subject is not CN=${profile.commonName} alone`],
    [leaf.basicConstraints?.ca !== true, 'it is a CA'],
    [isSet(leaf.keyUsage, ['digitalSignature']), 'its key usage is not digitalSignature alone'],
    [areCritical(leaf, [EXTENSION.KEY_USAGE]), 'its key usage is not critical'],
    [
      isOwnName,
      `its names are ${names.map(renderGeneralName).join(', ') || 'none'}, not DNS ${profile.dnsName}`,
    ],
    [
      nameViolations(leaf, profile.nameConstraints).length === 0,
      'its names break the constraints of the node',
    ],
    [
      sameBytes(leaf.issuer.der, nodeCa.subject.der),
      'its issuer is not written as the subject of the node CA is',
    ],
    [leaf.notAfter <= nodeCa.notAfter, 'it outlives the certificate of the node CA'],
    [leaf.unknownCritical.length === 0, 'it has a critical extension that is unknown here'],
    [isEcdsaP256(leaf), 'its key is not on P-256'],
  ]);
}

const NODE_CA_CRITICAL = [EXTENSION.BASIC_CONSTRAINTS, EXTENSION.KEY_USAGE, EXTENSION.NAME_CONSTRAINTS];

function findings(checks: readonly (readonly [boolean, string])[]): readonly Finding[] {
  return checks.flatMap(([holds, problem]) =>
    holds ? [] : [{ rule: 'issue.profile', message: `the certificate departs from its profile: ${problem}` }],
  );
}

function hasOnlyCommonName({ subject }: Certificate, commonName: string): boolean {
  const { rdns } = subject;
  return (
    rdns.length === 1 && rdns[0]?.length === 1 && onlyAttribute(rdns, ATTRIBUTE.COMMON_NAME) === commonName
  );
}

function isSet(actual: ReadonlySet<KeyUsage> | undefined, expected: readonly KeyUsage[]): boolean {
  return actual?.size === expected.length && expected.every((usage) => actual.has(usage));
}

function sameConstraints(a: NameConstraints, b: NameConstraints): boolean {
  return sameNames(a.permitted, b.permitted) && sameNames(a.excluded, b.excluded);
}

function sameNames(a: readonly GeneralName[], b: readonly GeneralName[]): boolean {
  const [left, right] = [a, b].map((names) => names.map(renderGeneralName).sort());
  return JSON.stringify(left) === JSON.stringify(right);
}

function areCritical({ extensions }: Certificate, oids: readonly string[]): boolean {
  return oids.every((oid) => extensions.some((extension) => extension.oid === oid && extension.critical));
}

function hasKeyIds({ subjectKeyId, authorityKeyId }: Certificate): boolean {
  return subjectKeyId !== undefined && authorityKeyId?.keyId !== undefined;
}

function isEcdsaP256(certificate: Certificate): boolean {
  try {
    return certificate.publicKey.asymmetricKeyDetails?.namedCurve === 'prime256v1';
  } catch (error) {
    if (error instanceof ParseError) return false;
    throw error;
  }
}

function isDns(name: GeneralName | undefined, value: string): boolean {
  return name?.type === 'dns' && name.value === value;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
