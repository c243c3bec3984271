import { AssayError } from '../../core/errors.ts';
import { commandName } from './command-name.ts';

/** Format-0 warnings and errors, and format-1 errors by their low bits (TPM 2.0 Part 2, section 6.6.3). */
const FORMAT_ZERO: Readonly<Record<number, string>> = {
  256: 'TPM_RC_INITIALIZE',
  257: 'TPM_RC_FAILURE',
  259: 'TPM_RC_SEQUENCE',
  288: 'TPM_RC_DISABLED',
  289: 'TPM_RC_EXCLUSIVE',
  292: 'TPM_RC_AUTH_TYPE',
  293: 'TPM_RC_AUTH_MISSING',
  294: 'TPM_RC_POLICY',
  295: 'TPM_RC_PCR',
  296: 'TPM_RC_PCR_CHANGED',
  301: 'TPM_RC_UPGRADE',
  302: 'TPM_RC_TOO_MANY_CONTEXTS',
  303: 'TPM_RC_AUTH_UNAVAILABLE',
  304: 'TPM_RC_REBOOT',
  322: 'TPM_RC_COMMAND_SIZE',
  323: 'TPM_RC_COMMAND_CODE',
  324: 'TPM_RC_AUTHSIZE',
  325: 'TPM_RC_AUTH_CONTEXT',
  326: 'TPM_RC_NV_RANGE',
  327: 'TPM_RC_NV_SIZE',
  328: 'TPM_RC_NV_LOCKED',
  329: 'TPM_RC_NV_AUTHORIZATION',
  330: 'TPM_RC_NV_UNINITIALIZED',
  331: 'TPM_RC_NV_SPACE',
  332: 'TPM_RC_NV_DEFINED',
  336: 'TPM_RC_BAD_CONTEXT',
  339: 'TPM_RC_NEEDS_TEST',
  340: 'TPM_RC_NO_RESULT',
  341: 'TPM_RC_SENSITIVE',
  2305: 'TPM_RC_CONTEXT_GAP',
  2306: 'TPM_RC_OBJECT_MEMORY',
  2307: 'TPM_RC_SESSION_MEMORY',
  2308: 'TPM_RC_MEMORY',
  2309: 'TPM_RC_SESSION_HANDLES',
  2310: 'TPM_RC_OBJECT_HANDLES',
  2311: 'TPM_RC_LOCALITY',
  2312: 'TPM_RC_YIELDED',
  2313: 'TPM_RC_CANCELED',
  2314: 'TPM_RC_TESTING',
  2336: 'TPM_RC_NV_RATE',
  2337: 'TPM_RC_LOCKOUT',
  2338: 'TPM_RC_RETRY',
  2339: 'TPM_RC_NV_UNAVAILABLE',
};
const FORMAT_ONE: readonly (string | undefined)[] = [
  undefined,
  'TPM_RC_ASYMMETRIC',
  'TPM_RC_ATTRIBUTES',
  'TPM_RC_HASH',
  'TPM_RC_VALUE',
  'TPM_RC_HIERARCHY',
  undefined,
  'TPM_RC_KEY_SIZE',
  'TPM_RC_MGF',
  'TPM_RC_MODE',
  'TPM_RC_TYPE',
  'TPM_RC_HANDLE',
  'TPM_RC_KDF',
  'TPM_RC_RANGE',
  'TPM_RC_AUTH_FAIL',
  'TPM_RC_NONCE',
  'TPM_RC_PP',
  undefined,
  'TPM_RC_SCHEME',
  undefined,
  undefined,
  'TPM_RC_SIZE',
  'TPM_RC_SYMMETRIC',
  'TPM_RC_TAG',
  'TPM_RC_SELECTOR',
  undefined,
  'TPM_RC_INSUFFICIENT',
  'TPM_RC_SIGNATURE',
  'TPM_RC_KEY',
  'TPM_RC_POLICY_FAIL',
  undefined,
  'TPM_RC_INTEGRITY',
  'TPM_RC_TICKET',
  'TPM_RC_RESERVED_BITS',
  'TPM_RC_BAD_AUTH',
  'TPM_RC_EXPIRED',
  'TPM_RC_POLICY_CC',
  'TPM_RC_BINDING',
  'TPM_RC_CURVE',
  'TPM_RC_ECC_POINT',
];

const FORMAT_ONE_BIT = 0x80;
const PARAMETER_BIT = 0x40;
const SESSION_BIT = 0x800;
const REFERENCE_HANDLE = 0x910;
const REFERENCE_SESSION = 0x918;
/** Bits above the TPM's twelve say which layer answered; the kernel's resource manager is 0x0b. */
const TPM_BITS = 0xfff;

/**
 * A response code's name without its position: `TPM_RC_HANDLE` for 0x18b. Unknown ones come back as
 * `TPM_RC_0x…`.
 */
export function responseCodeName(responseCode: number): string {
  const rc = responseCode & TPM_BITS;
  if ((rc & FORMAT_ONE_BIT) !== 0) return FORMAT_ONE[rc & 0x3f] ?? unknown(rc);
  if (rc >= REFERENCE_HANDLE && rc < REFERENCE_HANDLE + 7)
    return `TPM_RC_REFERENCE_H${rc - REFERENCE_HANDLE}`;
  if (rc >= REFERENCE_SESSION && rc < REFERENCE_SESSION + 7)
    return `TPM_RC_REFERENCE_S${rc - REFERENCE_SESSION}`;
  return FORMAT_ZERO[rc] ?? unknown(rc);
}

/** Which handle, session or parameter a response code blames, in words; empty for none. */
export function responseCodePosition(responseCode: number): string {
  if ((responseCode & FORMAT_ONE_BIT) === 0) return '';
  const number = (responseCode >> 8) & 0xf;
  if ((responseCode & PARAMETER_BIT) !== 0) return number === 0 ? '' : `parameter ${number}`;
  const position = number & 7;
  if (position === 0) return '';
  return (responseCode & SESSION_BIT) !== 0 ? `session ${position}` : `handle ${position}`;
}

/** The TPM understood a command and refused it. */
export class TpmError extends AssayError {
  override readonly name = 'TpmError';
  readonly responseCode: number;
  /** Without position, such as `TPM_RC_VALUE`: what to branch on. */
  readonly responseName: string;
  readonly command: string;

  constructor(commandCode: number, responseCode: number) {
    const name = responseCodeName(responseCode);
    const position = responseCodePosition(responseCode);
    const where = position === '' ? '' : ` for ${position}`;
    const command = commandName(commandCode);
    super(
      'unavailable',
      `${command} was refused: ${name}${where} (0x${responseCode.toString(16)})${advice(name)}`,
    );
    this.responseCode = responseCode;
    this.responseName = name;
    this.command = command;
  }
}

/** True when the TPM says that a handle of ours is not loaded: the TPM was reset, or somebody flushed it. */
export function isHandleGone(error: unknown): boolean {
  return error instanceof TpmError && /^TPM_RC_(?:REFERENCE_H\d|HANDLE)$/.test(error.responseName);
}

/** True when TPM2_Startup was not needed. */
export function isAlreadyStarted(error: unknown): boolean {
  return error instanceof TpmError && error.responseName === 'TPM_RC_INITIALIZE';
}

function advice(name: string): string {
  if (name === 'TPM_RC_FAILURE') return '; the TPM is in failure mode or was not initialised: restart it';
  if (name === 'TPM_RC_LOCKOUT') return '; wrong passwords have locked the TPM: tpm2_dictionarylockout -c';
  if (name === 'TPM_RC_OBJECT_MEMORY')
    return "; its slots are full of other programs' objects: use /dev/tpmrm0";
  return '';
}

function unknown(rc: number): string {
  return `TPM_RC_0x${rc.toString(16)}`;
}
