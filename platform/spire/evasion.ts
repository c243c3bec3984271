import { createRoot } from '../pki/certify.ts';
import { signWith } from '../pki/keys.ts';
import { createIssuingCa } from '../pki/node-ca.ts';
import { type AttestAnswer, type AttestTarget, attestX509pop, type X509popMaterial } from './attest.ts';
import { certificateBy, EvasionNode, minutes } from './evasion-node.ts';

/**
 * What a node that holds its own CA may try, and what must come of it: `own`: it is accepted, under its own id and no
 * other, so that nothing is gained; `refused`.
 */
export interface EvasionRow {
  /** Stable. */
  readonly id: string;
  readonly attempt: string;
  readonly must: 'own' | 'refused';
  /** What SPIRE's server says, in a configuration as `assay spire snippet` prints it. */
  readonly says?: RegExp;
  /** What to change when it is otherwise. */
  readonly remedy: string;
  readonly make: (cast: EvasionCast) => Promise<X509popMaterial>;
}

/** Who takes part. */
export interface EvasionCast {
  /** The attacker. */
  readonly node: EvasionNode;
  /** Whom it would like to be. */
  readonly other: EvasionNode;
}

const TEMPLATE =
  'agent_path_template must be the one that `assay spire snippet` prints: the id comes from the issuer';
const PROFILE =
  'certificates of nodes must be made by this issuer alone: see ca_bundle_path, it must hold nothing else';
const SERVER = 'spire-server does not check certificates as it should: use a release, not a modified one';
const LIMIT = 'max_intermediates = 2';
const STRANGERS =
  'the server accepts no nodes of this PKI, so nothing else was tried: see ca_bundle_path, the group and the clocks';

const NOT_TRUSTED = /certificate verification failed/;

export const EVASIONS: readonly EvasionRow[] = [
  {
    id: 'own',
    attempt: 'a leaf as it should be',
    must: 'own',
    remedy: TEMPLATE,
    make: ({ node }) => node.leaf(),
  },
  {
    id: 'new-leaf',
    attempt: 'another leaf with another key',
    must: 'own',
    remedy: TEMPLATE,
    make: ({ node }) => node.leaf(),
  },
  {
    id: 'new-intermediate',
    attempt: 'a renewed CA of its own with another key',
    must: 'own',
    remedy: TEMPLATE,
    make: async ({ node }) => (await EvasionNode.create(node.pki, node.id)).leaf(),
  },
  {
    id: 'other-name',
    attempt: "another node's common name, and no other name",
    must: 'own',
    remedy: TEMPLATE,
    make: ({ node, other }) => node.leaf({ commonName: other.id, names: null }),
  },
  {
    id: 'no-name',
    attempt: 'a leaf without alternative names, which name constraints do not reach',
    must: 'own',
    remedy: TEMPLATE,
    make: ({ node }) => node.leaf({ names: null }),
  },
  {
    id: 'upper-case',
    attempt: 'its own DNS name in capitals, which would be another SPIFFE path',
    must: 'own',
    remedy: TEMPLATE,
    make: ({ node }) => node.leaf({ names: { dnsNames: [node.dnsName.toUpperCase()] } }),
  },
  {
    id: 'other-key-id',
    attempt: "the key identifier of another node's CA",
    must: 'own',
    remedy: TEMPLATE,
    make: ({ node, other }) => node.leaf({ issuer: { subjectKeyId: other.ca.certificate.subjectKeyId } }),
  },
  {
    id: 'leaf-is-a-ca',
    attempt: 'a leaf that is a CA and signs too',
    must: 'own',
    remedy: TEMPLATE,
    make: ({ node }) => node.leaf({ isCa: true }),
  },
  {
    id: 'other-dns',
    attempt: "another node's DNS name",
    must: 'refused',
    says: NOT_TRUSTED,
    remedy: PROFILE,
    make: ({ node, other }) => node.leaf({ names: { dnsNames: [other.dnsName] } }),
  },
  {
    id: 'sub-domain',
    attempt: 'a name below its own',
    must: 'refused',
    says: NOT_TRUSTED,
    remedy: PROFILE,
    make: ({ node }) => node.leaf({ names: { dnsNames: [`x.${node.dnsName}`] } }),
  },
  {
    id: 'spiffe-id',
    attempt: "a SPIFFE ID of the trust domain: the server's own",
    must: 'refused',
    says: NOT_TRUSTED,
    remedy: PROFILE,
    make: ({ node }) => node.leaf({ names: { uris: [`spiffe://${node.pki.trustDomain}/spire/server`] } }),
  },
  {
    id: 'selector-uri',
    attempt: 'a URI that SPIRE would make a selector of',
    must: 'refused',
    says: NOT_TRUSTED,
    remedy: PROFILE,
    make: ({ node, other }) =>
      node.leaf({ names: { uris: [`x509pop://${node.pki.trustDomain}/node/${other.id}`] } }),
  },
  {
    id: 'address',
    attempt: 'an IP address for a name',
    must: 'refused',
    says: NOT_TRUSTED,
    remedy: PROFILE,
    make: ({ node }) => node.leaf({ names: { ipAddresses: ['127.0.0.1'] } }),
  },
  {
    id: 'other-issuer',
    attempt: 'a leaf that says that the CA of another node made it',
    must: 'refused',
    says: NOT_TRUSTED,
    remedy: SERVER,
    make: async ({ node, other }) => {
      const { certificate, privateKey } = await node.certificate({
        ...{ commonName: other.id, names: { dnsNames: [other.dnsName] } },
        issuer: { subject: other.ca.certificate.subject, subjectKeyId: other.ca.certificate.subjectKeyId },
      });
      return { chain: [certificate.der, ...other.intermediates], privateKey };
    },
  },
  {
    id: 'sub-ca',
    attempt: "a CA below its own with another node's name",
    must: 'refused',
    says: /certificate verification failed|too many intermediate/,
    remedy: PROFILE,
    make: async ({ node, other }) => {
      const below = await node.certificate({ commonName: other.id, names: null, isCa: true });
      const ca = { certificate: below.certificate, sign: signWith(below.privateKey) };
      const { certificate, privateKey } = await certificateBy(ca, other, { names: null });
      return { chain: [certificate.der, below.certificate.der, ...node.intermediates], privateKey };
    },
  },
  {
    id: 'intermediate-as-leaf',
    attempt: "its CA's certificate in place of a leaf",
    must: 'refused',
    says: /digital signature/i,
    remedy: PROFILE,
    make: async ({ node }) => ({
      chain: node.intermediates,
      privateKey: node.caKey,
    }),
  },
  {
    id: 'no-digital-signature',
    attempt: 'a leaf for key agreement alone',
    must: 'refused',
    says: /digital signature/i,
    remedy: SERVER,
    make: ({ node }) => node.leaf({ usage: 'keyAgreement' }),
  },
  {
    id: 'issuing-ca',
    attempt: 'a leaf that the issuing CA made itself, without a CA of a node between',
    must: 'refused',
    says: /issuer is not a node CA/,
    remedy: TEMPLATE,
    make: async ({ node }) => {
      const { certificate, privateKey } = await certificateBy(node.pki.issuingCa, node, {});
      return { chain: [certificate.der, ...node.pki.above.map(({ der }) => der)], privateKey };
    },
  },
  {
    id: 'expired-leaf',
    attempt: 'a leaf that has ended',
    must: 'refused',
    says: NOT_TRUSTED,
    remedy: SERVER,
    make: ({ node }) => node.leaf({ validity: minutes(node.pki.at, -4, -2) }),
  },
  {
    id: 'expired-intermediate',
    attempt: 'a leaf that is good, of a CA that has ended',
    must: 'refused',
    says: NOT_TRUSTED,
    remedy: SERVER,
    make: async ({ node }) =>
      (await EvasionNode.create(node.pki, node.id, minutes(node.pki.at, -5, -2))).leaf(),
  },
  {
    id: 'not-yet',
    attempt: 'a leaf that is not valid yet',
    must: 'refused',
    says: NOT_TRUSTED,
    remedy: SERVER,
    make: ({ node }) => node.leaf({ validity: minutes(node.pki.at, 3, 5) }),
  },
  {
    id: 'foreign-root',
    attempt: 'a chain with all the right names from another root',
    must: 'refused',
    says: NOT_TRUSTED,
    remedy: PROFILE,
    make: async ({ node }) => {
      const validity = minutes(node.pki.at, -5, 10);
      const root = await createRoot({ commonName: 'assay node root', ...validity }, 2);
      const { text } = node.pki.issuingCa.certificate.subject;
      const issuingCa = await createIssuingCa({
        ...{ root, group: 'self-test', commonName: text.replace(/^CN=/, ''), ...validity },
      });
      return (await EvasionNode.create({ ...node.pki, issuingCa }, node.id)).leaf();
    },
  },
  {
    id: 'many-intermediates',
    attempt: 'more certificates than a node has',
    must: 'refused',
    says: /too many intermediate/,
    remedy: LIMIT,
    make: async ({ node, other }) => {
      const { chain, privateKey } = await node.leaf();
      const third = await EvasionNode.create(node.pki);
      return { chain: [...chain, ...other.intermediates, ...third.intermediates], privateKey };
    },
  },
  {
    id: 'stolen-certificate',
    attempt: "another node's certificates, without its key",
    must: 'refused',
    says: /challenge response verification failed/,
    remedy: SERVER,
    make: async ({ node, other }) => ({
      chain: (await other.leaf()).chain,
      privateKey: (await node.leaf()).privateKey,
    }),
  },
];

export interface EvasionResult {
  readonly row: EvasionRow;
  readonly answer: AttestAnswer;
  /** What is wrong with the answer; absent when it is as it must be. */
  readonly problem?: { readonly message: string; readonly remedy: string };
}

/** Whether the first row shows that the server accepts nodes of this PKI at all: else the others prove nothing. */
export function acceptsNodes({ answer }: EvasionResult): boolean {
  return answer.ok;
}

/** Tries one row on a server. @throws {ConnectError} when it cannot be reached */
export async function tryEvasion(
  target: AttestTarget,
  row: EvasionRow,
  cast: EvasionCast,
): Promise<EvasionResult> {
  const answer = await attestX509pop(target, await row.make(cast));
  const problem = problemOf(row, answer, cast.node.path);
  return { row, answer, ...(problem === undefined ? {} : { problem }) };
}

function problemOf(
  { id, must, remedy }: EvasionRow,
  answer: AttestAnswer,
  own: string,
): EvasionResult['problem'] {
  if (!answer.ok) {
    // Whoever is refused gains nothing; a node that is as it should be has to come in.
    return id === 'own'
      ? { message: `a good node is refused: ${answer.message}`, remedy: STRANGERS }
      : undefined;
  }
  if (answer.path !== own) {
    return { message: `accepted as ${answer.path}, which is not its own id ${own}`, remedy };
  }
  return must === 'own' ? undefined : { message: 'accepted, though under its own id', remedy };
}
