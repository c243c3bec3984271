import { expect, test } from 'vitest';
import { classifyRefusal } from '../../../../agent/node-material/refusal.ts';
import { AssayError, type ErrorCode } from '../../../../core/errors.ts';

test.each<[ErrorCode, string | undefined, string]>([
  ['not-trusted', 'node.failed', 'distrusted'],
  ['not-trusted', 'node.banned', 'distrusted'],
  ['not-trusted', 'node.retired', 'distrusted'],
  ['not-trusted', 'node.stale', 'not-yet'],
  ['not-trusted', 'node.enrolled', 'not-yet'],
  ['not-trusted', undefined, 'not-yet'],
  ['not-admitted', 'node.pending', 'not-yet'],
  ['unauthenticated', undefined, 'unknown'],
  ['unavailable', 'node.failed', 'trouble'],
  ['malformed', undefined, 'trouble'],
])('revoke.destroy: %s with %s is %s', (code, rule, refusal) => {
  const details = rule === undefined ? [] : [{ rule, message: rule }];
  expect(classifyRefusal(new AssayError(code, 'refused', { details }))).toBe(refusal);
});

test('what is no answer of a service is trouble', () => {
  expect(classifyRefusal(new TypeError('bug'))).toBe('trouble');
});
