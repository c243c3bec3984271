import { createRoot } from '../pki/certify.ts';
import { signWith } from '../pki/keys.ts';
import { createIssuingCa } from '../pki/node-ca.ts';
import { certificateBy, EvasionNode, minutes } from './evasion-node.ts';
import { type EvasionRow, NOT_TRUSTED, REMEDY } from './evasion-row.ts';

/** Whom it may claim to have a leaf from, and what it may show beside it. */
export const CHAIN_EVASIONS: readonly EvasionRow[] = [
  {
    id: 'other-issuer',
    attempt: 'a leaf that says that the CA of another node made it',
    must: 'refused',
    says: NOT_TRUSTED,
    remedy: REMEDY.server,
    make: async ({ node, other }) => {
      const { certificate, privateKey } = await namedAsOf(node, other);
      return { chain: [certificate.der, ...other.intermediates], privateKey };
    },
  },
  {
    id: 'other-issuer-alone',
    attempt: 'the same, and of the certificates between only its own',
    must: 'refused',
    says: NOT_TRUSTED,
    remedy: REMEDY.server,
    make: async ({ node, other }) => {
      const { certificate, privateKey } = await namedAsOf(node, other);
      return { chain: [certificate.der, ...node.intermediates], privateKey };
    },
  },
  {
    id: 'sub-ca',
    attempt: "a CA below its own with another node's name",
    must: 'refused',
    says: /certificate verification failed|too many intermediate/,
    remedy: REMEDY.profile,
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
    remedy: REMEDY.profile,
    make: async ({ node }) => ({
      chain: node.intermediates,
      privateKey: node.caKey,
    }),
  },
  {
    id: 'issuing-ca',
    attempt: 'a leaf that the issuing CA made itself, without a CA of a node between',
    must: 'refused',
    says: /issuer is not a node CA/,
    remedy: REMEDY.template,
    make: async ({ node }) => {
      const { certificate, privateKey } = await certificateBy(node.pki.issuingCa, node, {});
      return { chain: [certificate.der, ...node.pki.above.map(({ der }) => der)], privateKey };
    },
  },
  {
    id: 'expired-intermediate',
    attempt: 'a leaf that is good, of a CA that has ended',
    must: 'refused',
    says: NOT_TRUSTED,
    remedy: REMEDY.server,
    make: async ({ node }) =>
      (await EvasionNode.create(node.pki, node.id, minutes(node.pki.at, -5, -2))).leaf(),
  },
  {
    id: 'foreign-root',
    attempt: 'a chain with all the right names from another root',
    must: 'refused',
    says: NOT_TRUSTED,
    remedy: REMEDY.profile,
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
    remedy: REMEDY.limit,
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
    remedy: REMEDY.server,
    make: async ({ node, other }) => ({
      chain: (await other.leaf()).chain,
      privateKey: (await node.leaf()).privateKey,
    }),
  },
  {
    id: 'no-intermediate',
    attempt: 'its leaf without the CA that made it',
    must: 'refused',
    says: NOT_TRUSTED,
    remedy: REMEDY.profile,
    make: async ({ node }) => {
      const { chain, privateKey } = await node.leaf();
      return { chain: chain.slice(0, 1), privateKey };
    },
  },
];

/** Signed by one node, in the name of the CA of another. */
function namedAsOf(node: EvasionNode, { id, dnsName, ca }: EvasionNode) {
  const { subject, subjectKeyId } = ca.certificate;
  return node.certificate({
    ...{ commonName: id, names: { dnsNames: [dnsName] }, issuer: { subject, subjectKeyId } },
  });
}
