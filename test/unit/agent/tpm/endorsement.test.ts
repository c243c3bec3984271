import { describe, expect, test } from 'vitest';
import { policyBranches } from '../../../../agent/tpm/ek-policy.ts';
import { EK_SLOTS } from '../../../../agent/tpm/ek-slots.ts';
import { isOfTemplate, withNonce } from '../../../../agent/tpm/ek-template.ts';
import { EK_TEMPLATES } from '../../../../core/tpm/endorsement-key.ts';

describe('the policy of an EK', () => {
  test.each(EK_SLOTS.map(({ template }) => template))('of template %s can be satisfied', (template) => {
    const branches = policyBranches(EK_TEMPLATES[template]);
    expect(branches).toHaveLength(template.startsWith('L') ? 0 : 2);
  });

  test('that no template has is an error', () => {
    const authPolicy = new Uint8Array(32).fill(1);
    expect(() => policyBranches({ nameAlg: 'sha256', authPolicy })).toThrow('that no TCG template has');
    expect(() => policyBranches({ nameAlg: 'sha1', authPolicy })).toThrow('that no TCG template has');
  });
});

describe('templates', () => {
  test('a nonce stands at the start of the modulus', () => {
    const made = withNonce(EK_TEMPLATES['L-1'], Uint8Array.of(1, 2, 3));
    if (made.type !== 'rsa') throw new Error('not RSA');
    expect(made.unique).toEqual(Uint8Array.from({ length: 256 }, (_, at) => (at < 3 ? at + 1 : 0)));
    expect(isOfTemplate(made, EK_TEMPLATES['L-1'])).toBe(true);
  });

  test('a nonce stands at the start of x', () => {
    const made = withNonce(EK_TEMPLATES['L-2'], Uint8Array.of(9));
    if (made.type !== 'ecc') throw new Error('not ECC');
    expect([made.unique.x[0], made.unique.x.length, made.unique.y]).toEqual([9, 32, new Uint8Array(32)]);
  });

  test('a key with another policy is of another template', () => {
    expect(isOfTemplate(EK_TEMPLATES['H-1'], EK_TEMPLATES['L-1'])).toBe(false);
    expect(isOfTemplate(EK_TEMPLATES['H-2'], EK_TEMPLATES['L-2'])).toBe(false);
  });
});
