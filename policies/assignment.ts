/** Who a policy is for: everything, a group, or one node. The most specific assignment counts. */
export type AssignmentSubject = 'default' | `group:${string}` | `node:${string}`;

const SUBJECT =
  /^(default|group:[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?|node:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

export function isAssignmentSubject(text: string): text is AssignmentSubject {
  return SUBJECT.test(text);
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
