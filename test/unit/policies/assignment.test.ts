import { expect, test } from 'vitest';
import { isAssignmentSubject } from '../../../policies/assignment.ts';

test.each([
  ['default', true],
  ['group:web', true],
  ['node:121c409b-9ef8-82d4-a213-205baf51bf64', true],
  ['group:', false],
  ['group:Web', false],
  ['all', false],
  ['node:', false],
  ['node:121C409B-9EF8-82D4-A213-205BAF51BF64', false],
  // The UUID of a Keylime agent is an alias.
  ['node:d432fbb3-d2f1-4a97-9ef7-75bd81c00000', false],
])('%s can have a policy: %s', (text, can) => {
  expect(isAssignmentSubject(text)).toBe(can);
});
