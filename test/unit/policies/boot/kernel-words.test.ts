import { expect, test } from 'vitest';
import { kernelWords, parameterForm } from '../../../../policies/boot/kernel-words.ts';

test.each([
  ['a  b\tc', ['a', 'b', 'c']],
  ['"init=/bin/sh" quiet', ['init=/bin/sh', 'quiet']],
  ['init="/bin/sh -c x" quiet', ['init=/bin/sh -c x', 'quiet']],
  ['note="x ima_policy=tcb y"', ['note=x ima_policy=tcb y']],
  ['a -- b', ['a']],
  ['"a b', ['a b']],
  ['', []],
])('%s is split as Linux does', (text, parameters) => {
  expect(kernelWords(text).parameters).toEqual(parameters);
});

test('whatever could be taken for a word is among them all', () => {
  expect(kernelWords('note="x init=/bin/sh" in"it=1" -- last').any).toEqual(
    expect.arrayContaining(['init=/bin/sh', 'init=1', 'last', 'note=x init=/bin/sh']),
  );
});

test('a dash in a name is an underscore, one in a value is not', () => {
  expect(parameterForm('ima-appraise=a-b')).toBe('ima_appraise=a-b');
  expect(parameterForm('no-value')).toBe('no_value');
});
