import { describe, expect, test } from 'vitest';
import { canonicalIssuer, canonicalSerial } from '../../../../registrar/domain/certificate-name.ts';
import { parseNodeName } from '../../../../registrar/domain/node-name.ts';
import { requesterNetwork } from '../../../../registrar/domain/requester.ts';

describe('certificate names', () => {
  test.each([
    ['00A1', 'a1'],
    ['0xA1', 'a1'],
    ['a1:b2', 'a1b2'],
    ['00', '0'],
  ])('serial %s is %s', (text, expected) => expect(canonicalSerial(text)).toBe(expected));

  test.each(['', 'g1', '-1', 'f'.repeat(65)])('serial "%s" is none', (text) =>
    expect(canonicalSerial(text)).toBeUndefined(),
  );

  test('tools that print a name in another order or with spaces mean the same name', () => {
    const forms = ['CN=A,O=B\\, Inc,C=DE', 'C = DE, O = B\\, Inc, CN = A', 'c=DE,cn=A+o=B\\, Inc'];
    expect(new Set(forms.map(canonicalIssuer))).toEqual(new Set(['C=DE,CN=A,O=B\\, Inc']));
  });

  test('other values are other names', () => {
    expect(canonicalIssuer('CN=a')).not.toBe(canonicalIssuer('CN=A'));
    expect(canonicalIssuer('CN=A,O=B')).not.toBe(canonicalIssuer('CN=B,O=A'));
  });

  test.each(['', 'A', ',', 'CN', '=A'])('"%s" is no name', (text) =>
    expect(canonicalIssuer(text)).toBeUndefined(),
  );
});

describe('node names', () => {
  const id = '01234567-89ab-8def-8123-456789abcdef';

  test('an id is an id, and may be an alias', () => {
    expect(parseNodeName(id)).toEqual({ id, prefix: null, alias: id });
  });

  test('a beginning of an id is a range of ids', () => {
    expect(parseNodeName('01234567-8').prefix).toEqual({
      first: '01234567-8000-0000-0000-000000000000',
      last: '01234567-8fff-ffff-ffff-ffffffffffff',
    });
  });

  test.each(['012', '0123-', '012345678', 'xyzw'])('"%s" begins no id', (text) =>
    expect(parseNodeName(text).prefix).toBeNull(),
  );

  test.each(['a b', '../x', '', 'é', "a'b"])('"%s" is no alias', (text) =>
    expect(parseNodeName(text)).toEqual({ id: null, prefix: null, alias: null }),
  );
});

describe('requester', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:aaaa::1', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002:ffff:0:0:1', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
  ])('api.limits: %s counts as %s', (address, network) => expect(requesterNetwork(address)).toBe(network));
});
