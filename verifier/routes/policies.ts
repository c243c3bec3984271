import Type from 'typebox';
import { AssayError } from '../../core/errors.ts';
import { GroupName, Instant } from '../../core/messages/common.ts';
import { PolicyTrial } from '../../core/messages/policy-trial.ts';
import { actorOf } from '../../platform/http/principal.ts';
import type { App } from '../../platform/http/server.ts';
import { setsOf } from '../../policies/appraise.ts';
import { parsePolicy } from '../../policies/language/parse.ts';
import {
  isSignedFor,
  type OpenedPolicy,
  openPolicy,
  type PolicySigners,
} from '../../policies/language/signed.ts';
import { missingDigestSets, unknownSets } from '../store/digest-sets.ts';
import { addPolicy, listPolicies, readPolicy, unknownPolicy } from '../store/policies.ts';
import { tryPolicy } from '../try-policy.ts';
import type { RoutesDeps } from './deps.ts';

const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;

export const PolicyName = Type.String({ pattern: '^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$' });
const PolicyVersion = Type.Object({ name: PolicyName, version: Type.Integer() }, { title: 'PolicyVersion' });
const PolicySummary = Type.Object(
  {
    ...PolicyVersion.properties,
    createdAt: Instant,
    createdBy: Type.String(),
    assignedTo: Type.Array(Type.String()),
  },
  { title: 'PolicySummary' },
);
const PolicyDetail = Type.Object(
  {
    ...PolicyVersion.properties,
    document: Type.String(),
    createdAt: Instant,
    createdBy: Type.String(),
  },
  { title: 'PolicyDetail' },
);

/** Policies, kept in versions. */
export function policyRoutes(app: App, { database, policySigners }: RoutesDeps): void {
  app.post(
    '/v1/policies',
    {
      bodyLimit: MAX_DOCUMENT_BYTES + 4096,
      config: { access: ['admin'], errors: ['invalid-policy'] },
      schema: {
        operationId: 'addPolicy',
        summary: 'Store a policy; the text of the newest version stays that version',
        description: '`document` is the YAML text. Digest sets that it names must be stored first.',
        body: Type.Object({ document: Type.String({ minLength: 1 }) }, { additionalProperties: false }),
        response: { 200: PolicyVersion },
      },
    },
    async ({ body: { document }, principal }) => {
      const opened = openPolicy(document);
      const policy = parsePolicy(opened.text);
      const { name } = policy;
      checkSigned(opened, policySigners);
      const missing = await missingDigestSets(database.db, setsOf(policy));
      if (missing.length > 0) throw unknownSets(missing);
      return database.transaction((tx) => addPolicy(tx, { name, document }, actorOf(principal)));
    },
  );
  app.post(
    '/v1/policies/try',
    {
      bodyLimit: MAX_DOCUMENT_BYTES + 4096,
      config: { access: ['admin', 'viewer'], errors: ['invalid-policy'] },
      schema: {
        operationId: 'tryPolicy',
        summary: 'What a policy would say of the nodes that are trusted now',
        description: 'By what they showed last: no node is asked, and nothing changes.',
        body: Type.Object(
          { document: Type.String({ minLength: 1 }), group: Type.Optional(GroupName) },
          { additionalProperties: false },
        ),
        response: { 200: PolicyTrial },
      },
    },
    async ({ body: { document, group } }) => {
      const policy = parsePolicy(openPolicy(document).text);
      const missing = await missingDigestSets(database.db, setsOf(policy));
      if (missing.length > 0) throw unknownSets(missing);
      return tryPolicy(database, policy, group, () => performance.now());
    },
  );
  app.get(
    '/v1/policies',
    {
      config: { access: ['admin', 'viewer'] },
      schema: {
        operationId: 'listPolicies',
        summary: 'The newest version of each policy, and to whom it is assigned',
        response: { 200: Type.Object({ policies: Type.Array(PolicySummary) }) },
      },
    },
    async () => ({ policies: await listPolicies(database.db) }),
  );
  app.get(
    '/v1/policies/:name',
    {
      config: { access: ['admin', 'viewer'], errors: ['not-found'] },
      schema: {
        operationId: 'getPolicy',
        summary: 'One version of a policy, the newest by default',
        params: Type.Object({ name: PolicyName }),
        querystring: Type.Object(
          { version: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,8}$' })) },
          { additionalProperties: false },
        ),
        response: { 200: PolicyDetail },
      },
    },
    async ({ params: { name }, query }) => {
      const version = query.version === undefined ? undefined : Number(query.version);
      const stored = await readPolicy(database.db, name, version);
      if (!stored) throw unknownPolicy(name, version);
      const { document, createdAt, createdBy } = stored;
      return { name, version: stored.version, document, createdAt: createdAt.toISOString(), createdBy };
    },
  );
}

// Some group must take it: for which it counts is decided again at each use.
function checkSigned(opened: OpenedPolicy, signers: PolicySigners): void {
  const counts =
    signers.size === 0 || [...signers.keys()].some((group) => isSignedFor(opened, signers, group));
  if (counts || !signers.has('*')) return;
  throw new AssayError(
    'invalid-policy',
    'this policy is not signed by a key that the verifier pins (verifier.policy-signers); sign it with "assay policy sign"',
  );
}
