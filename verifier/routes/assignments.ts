import Type from 'typebox';
import { AssayError } from '../../core/errors.ts';
import { Instant } from '../../core/messages/common.ts';
import { actorOf } from '../../platform/http/principal.ts';
import type { App } from '../../platform/http/server.ts';
import { isAssignmentSubject } from '../../policies/assignment.ts';
import { assignPolicy, listAssignments, unassignPolicy } from '../store/policies.ts';
import type { RoutesDeps } from './deps.ts';
import { PolicyName } from './policies.ts';

const Subject = Type.String({
  maxLength: 80,
  description: "'default', 'group:NAME' or 'node:ID'; the most specific counts",
});
const Assignment = Type.Object({ subject: Subject, policy: PolicyName }, { title: 'Assignment' });
const AssignmentDetail = Type.Object(
  {
    ...Assignment.properties,
    assignedBy: Type.String(),
    assignedAt: Instant,
  },
  { title: 'AssignmentDetail' },
);

/** Which policy counts for whom. */
export function assignmentRoutes(app: App, { database }: RoutesDeps): void {
  app.put(
    '/v1/assignments',
    {
      config: { access: ['admin'], errors: ['not-found'] },
      schema: {
        operationId: 'assignPolicy',
        summary: 'Assign a policy; its newest version counts from now on',
        body: Type.Object(Assignment.properties, { additionalProperties: false }),
        response: { 200: Assignment },
      },
    },
    async ({ body, principal }) => {
      checkSubject(body.subject);
      await database.transaction((tx) => assignPolicy(tx, body, actorOf(principal)));
      return body;
    },
  );
  app.get(
    '/v1/assignments',
    {
      config: { access: ['admin', 'viewer'] },
      schema: {
        operationId: 'listAssignments',
        summary: 'All assignments',
        response: { 200: Type.Object({ assignments: Type.Array(AssignmentDetail) }) },
      },
    },
    async () => ({ assignments: await listAssignments(database.db) }),
  );
  app.delete(
    '/v1/assignments/:subject',
    {
      config: { access: ['admin'], errors: ['not-found'] },
      schema: {
        operationId: 'unassignPolicy',
        summary: 'Remove an assignment',
        params: Type.Object({ subject: Subject }),
        response: { 200: Type.Object({ subject: Subject }) },
      },
    },
    async ({ params: { subject }, principal }) => {
      checkSubject(subject);
      await database.transaction((tx) => unassignPolicy(tx, subject, actorOf(principal)));
      return { subject };
    },
  );
}

function checkSubject(subject: string): void {
  if (isAssignmentSubject(subject)) return;
  throw new AssayError(
    'invalid-request',
    "the subject must be 'default', 'group:NAME' or 'node:ID', with the id of a node",
  );
}
