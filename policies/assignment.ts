import { isNodeId } from '../core/identity.ts';

/** Who a policy is for: everything, a group, or one node. The most specific assignment counts. */
export type AssignmentSubject = 'default' | `group:${string}` | `node:${string}`;

const NODE = 'node:';
const ALL_OR_GROUP = /^(?:default|group:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)$/;

/** A node is named by its id alone: what was assigned to the UUID of a Keylime agent would count for nobody. */
export function isAssignmentSubject(text: string): text is AssignmentSubject {
  return ALL_OR_GROUP.test(text) || (text.startsWith(NODE) && isNodeId(text.slice(NODE.length)));
}

/**
 * The name of the policy that counts for a node, or undefined when none was assigned: that is never a pass.
 *
 * @param assignments policy name for each subject
 */
export function assignedPolicy(
  assignments: ReadonlyMap<string, string>,
  node: { readonly id: string; readonly group: string },
): string | undefined {
  return (
    assignments.get(`node:${node.id}`) ?? assignments.get(`group:${node.group}`) ?? assignments.get('default')
  );
}
