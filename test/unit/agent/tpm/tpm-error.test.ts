import { describe, expect, test } from 'vitest';
import {
  isHandleGone,
  responseCodeName,
  responseCodePosition,
  TpmError,
} from '../../../../agent/tpm/tpm-error.ts';
import { TPM_CC, TPM_RC } from '../../../../core/tpm/constants.ts';

describe('response codes', () => {
  test.each([
    [0x100, 'TPM_RC_INITIALIZE', ''],
    [0x922, 'TPM_RC_RETRY', ''],
    [0x184, 'TPM_RC_VALUE', 'handle 1'],
    [0x18b, 'TPM_RC_HANDLE', 'handle 1'],
    [0x1df, 'TPM_RC_INTEGRITY', 'parameter 1'],
    [0x2c4, 'TPM_RC_VALUE', 'parameter 2'],
    [0x2d2, 'TPM_RC_SCHEME', 'parameter 2'],
    [0x98e, 'TPM_RC_AUTH_FAIL', 'session 1'],
    [0x99d, 'TPM_RC_POLICY_FAIL', 'session 1'],
    [0x910, 'TPM_RC_REFERENCE_H0', ''],
    [0x919, 'TPM_RC_REFERENCE_S1', ''],
    [0x902, 'TPM_RC_OBJECT_MEMORY', ''],
    [0x000b0143, 'TPM_RC_COMMAND_CODE', ''],
    [0x17f, 'TPM_RC_0x17f', ''],
    [0x091, 'TPM_RC_0x91', ''],
  ])('0x%s is %s', (code, name, position) => {
    expect(responseCodeName(code)).toBe(name);
    expect(responseCodePosition(code)).toBe(position);
  });

  test('have the names of the constants', () => {
    for (const [name, code] of Object.entries(TPM_RC)) {
      if (code !== TPM_RC.SUCCESS) expect(responseCodeName(code)).toBe(`TPM_RC_${name}`);
    }
  });
});

describe('TpmError', () => {
  test('names the command, the reason and the place', () => {
    const error = new TpmError(TPM_CC.NV_Read, 0x28b);
    expect(error.message).toBe('TPM2_NV_Read was refused: TPM_RC_HANDLE for handle 2 (0x28b)');
    expect(error).toMatchObject({
      code: 'unavailable',
      responseName: 'TPM_RC_HANDLE',
      command: 'TPM2_NV_Read',
    });
  });

  test('says what to do about full slots and a locked TPM', () => {
    expect(new TpmError(TPM_CC.Load, 0x902).message).toContain('use /dev/tpmrm0');
    expect(new TpmError(TPM_CC.Load, 0x921).message).toContain('tpm2_dictionarylockout -c');
    expect(new TpmError(0xabc, 0x101).message).toMatch(/^TPM2_0xabc was refused/);
  });

  test.each([
    [0x910, true],
    [0x916, true],
    [0x18b, true],
    [0x918, false],
    [0x1df, false],
  ])('0x%s means that a handle is gone: %s', (code, expected) => {
    expect(isHandleGone(new TpmError(TPM_CC.Quote, code))).toBe(expected);
  });
});
