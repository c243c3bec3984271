import { describe, expect, test } from 'vitest';
import {
  type AdmissionFacts,
  decideAdmission,
  type StandingAdmission,
} from '../../../../registrar/domain/admission.ts';

const NOBODY: AdmissionFacts = {
  current: null,
  aliasHolder: null,
  hasCertificate: true,
  hasTls: true,
  inventory: null,
  token: { kind: 'none' },
};
const INVENTORY = { id: 'i-1', assetName: 'rack 7', group: 'edge' };
const TOKEN = { kind: 'valid', id: 't-1', group: 'build' } as const;
const HOLDER = '0f000000-0000-8000-8000-000000000001';

function standing(admission: StandingAdmission['admission']): StandingAdmission {
  return { admission, reason: 'as it was', admittedBy: 'admin:ann', group: 'core', assetName: 'db 1' };
}

describe('admission', () => {
  test('a certificate alone waits for a person', () => {
    const decision = decideAdmission(NOBODY);
    expect(decision).toMatchObject({ admission: 'pending', group: null, claims: null });
    expect(decision.reason).toContain('approve it');
  });

  test('the inventory admits, and is claimed before a token is spent', () => {
    expect(decideAdmission({ ...NOBODY, inventory: INVENTORY, token: TOKEN })).toEqual({
      admission: 'admitted',
      reason: 'the inventory expects it as rack 7',
      admittedBy: 'inventory:i-1',
      group: 'edge',
      assetName: 'rack 7',
      claims: { inventory: 'i-1' },
    });
  });

  test('the inventory admits an EK without certificate', () => {
    const decision = decideAdmission({ ...NOBODY, inventory: INVENTORY, hasCertificate: false });
    expect(decision.admission).toBe('admitted');
  });

  test('a token admits to its group and is spent', () => {
    expect(decideAdmission({ ...NOBODY, token: TOKEN })).toMatchObject({
      admission: 'admitted',
      group: 'build',
      admittedBy: 'token:t-1',
      claims: { token: 't-1' },
    });
  });

  test('ek.chain: a token does not admit an EK without certificate, and is not spent', () => {
    const decision = decideAdmission({ ...NOBODY, token: TOKEN, hasCertificate: false });
    expect(decision).toMatchObject({ admission: 'pending', claims: null });
  });

  test.each(['unknown', 'used', 'expired'] as const)('a token that is %s is told as the reason', (kind) => {
    const decision = decideAdmission({ ...NOBODY, token: { kind } });
    expect(decision).toMatchObject({ admission: 'pending', claims: null });
    expect(decision.reason).toContain('token');
  });

  test('id.immutable: neither inventory nor token admits a node whose alias another one holds', () => {
    const decision = decideAdmission({ ...NOBODY, aliasHolder: HOLDER, inventory: INVENTORY, token: TOKEN });
    expect(decision).toMatchObject({ admission: 'pending', claims: null });
    expect(decision.reason).toContain(HOLDER);
  });

  test('an admitted node stays as it is and uses up nothing', () => {
    const decision = decideAdmission({
      ...NOBODY,
      current: standing('admitted'),
      inventory: INVENTORY,
      token: TOKEN,
    });
    expect(decision).toEqual({ ...standing('admitted'), claims: null });
  });

  test('a retired node stays retired, with a token too', () => {
    const decision = decideAdmission({ ...NOBODY, current: standing('retired'), token: TOKEN });
    expect(decision).toEqual({ ...standing('retired'), claims: null });
  });

  test('a pending node that comes back with a token is admitted', () => {
    const decision = decideAdmission({ ...NOBODY, current: standing('pending'), token: TOKEN });
    expect(decision.admission).toBe('admitted');
  });

  test('a node without TLS is told that nothing polls it', () => {
    expect(decideAdmission({ ...NOBODY, hasTls: false }).reason).toContain('never polled');
    expect(decideAdmission(NOBODY).reason).not.toContain('never polled');
  });
});
