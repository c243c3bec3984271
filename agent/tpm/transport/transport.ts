import { AssayError } from '../../../core/errors.ts';

/** Limit of a command and of a response: what every TPM's and the kernel's buffers hold. */
export const MAX_TPM_BUFFER_BYTES = 4096;

/** tag, size, code: the start of each command and each response (TPM 2.0 Part 1, section 18). */
export const TPM_HEADER_BYTES = 10;

/**
 * A way to a TPM. One command at a time: a caller waits for the answer before it sends the next one
 * (`Tpm` sees to that).
 */
export interface TpmTransport {
  /** Sends one whole command and resolves with the one whole response. */
  send(command: Uint8Array): Promise<Uint8Array>;
  close(): Promise<void>;
  /** True when something between us and the TPM swaps objects and cleans up after us (/dev/tpmrm0). */
  readonly hasResourceManager?: boolean;
}

export type TpmTransportProblem =
  | 'unreachable' // nothing there, or we may not open it
  | 'closed' // it was there and went away before it answered
  | 'timeout'
  | 'protocol'; // it answers with something that is no TPM response

/**
 * The TPM could not be asked or did not answer; says nothing about what the TPM thinks of the command.
 * After `closed` and `timeout` the command may or may not have been carried out.
 */
export class TpmTransportError extends AssayError {
  override readonly name = 'TpmTransportError';
  readonly problem: TpmTransportProblem;

  constructor(problem: TpmTransportProblem, message: string, cause?: unknown) {
    super('unavailable', message, { cause });
    this.problem = problem;
  }
}

/** @throws {RangeError} unless `command` is a whole command of its own declared length */
export function checkCommand(command: Uint8Array): void {
  const { length } = command;
  if (length < TPM_HEADER_BYTES || length > MAX_TPM_BUFFER_BYTES) {
    throw new RangeError(
      `a TPM command has ${TPM_HEADER_BYTES} to ${MAX_TPM_BUFFER_BYTES} bytes, not ${length}`,
    );
  }
  const declared = sizeField(command);
  if (declared !== length) throw new RangeError(`the command says ${declared} bytes and has ${length}`);
}

/** The size field of a command's or response's header. */
export function sizeField(header: Uint8Array): number {
  return new DataView(header.buffer, header.byteOffset, header.byteLength).getUint32(2);
}
