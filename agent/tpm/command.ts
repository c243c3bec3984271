import { Reader } from '../../core/bytes/reader.ts';
import { Writer } from '../../core/bytes/writer.ts';
import { TPM_RH, TPM_ST } from '../../core/tpm/constants.ts';
import { TpmError } from './tpm-error.ts';
import { MAX_TPM_BUFFER_BYTES } from './transport/transport.ts';

const EMPTY = new Uint8Array();

/**
 * How one handle of a command is authorised: a password, or a policy session that the TPM ends with the
 * command.
 */
export type TpmAuth =
  | { readonly type: 'password'; readonly password: Uint8Array }
  | { readonly type: 'policy'; readonly session: number };

/** The empty password: what our own keys and, on nearly all machines, the hierarchies have. */
export const EMPTY_AUTH: TpmAuth = { type: 'password', password: EMPTY };

export interface TpmCommand {
  /** One of TPM_CC. */
  readonly code: number;
  readonly handles?: readonly number[];
  /** One for each handle that needs it, in their order. */
  readonly auths?: readonly TpmAuth[];
  readonly parameters?: Uint8Array;
  /** The response carries a handle of something that the command loaded. */
  readonly returnsHandle?: boolean;
}

export interface TpmResponse {
  /** 0 unless the command returns one. */
  readonly handle: number;
  /** Exactly the response parameters. */
  readonly parameters: Reader;
}

/** The bytes of a command (TPM 2.0 Part 1, section 18). */
export function marshalCommand(command: TpmCommand): Uint8Array {
  const { auths = [], handles = [] } = command;
  const body = new Writer();
  for (const handle of handles) body.u32(handle);
  if (auths.length > 0) body.sized32(marshalAuths(auths));
  body.raw(command.parameters ?? EMPTY);
  const bytes = body.bytes();
  return new Writer()
    .u16(auths.length > 0 ? TPM_ST.SESSIONS : TPM_ST.NO_SESSIONS)
    .u32(bytes.length + 10)
    .u32(command.code)
    .raw(bytes)
    .bytes();
}

/**
 * @throws {TpmError} when the TPM refused the command
 * @throws {ParseError} for a response that is not one
 */
export function parseResponse(command: TpmCommand, bytes: Uint8Array): TpmResponse {
  const reader = new Reader(bytes, 'response');
  const tag = reader.u16('tag');
  const size = reader.u32('size');
  if (size !== bytes.length) reader.fail('size', `${size} announced, ${bytes.length} came`);
  const responseCode = reader.u32('responseCode');
  if (responseCode !== 0) throw new TpmError(command.code, responseCode);
  const handle = command.returnsHandle === true ? reader.u32('handle') : 0;
  const withSessions = (command.auths ?? []).length > 0;
  if (tag !== (withSessions ? TPM_ST.SESSIONS : TPM_ST.NO_SESSIONS))
    reader.fail('tag', 'is not that of the command');
  // Password and unsalted policy sessions prove nothing in the response's authorisation area.
  const parameters = withSessions
    ? reader.sized32('parameters', MAX_TPM_BUFFER_BYTES)
    : reader.raw(reader.remaining, 'parameters');
  return { handle, parameters: new Reader(parameters, 'response.parameters') };
}

function marshalAuths(auths: readonly TpmAuth[]): Uint8Array {
  const area = new Writer();
  for (const auth of auths) {
    const [session, secret] = auth.type === 'password' ? [TPM_RH.PW, auth.password] : [auth.session, EMPTY];
    // TPMS_AUTH_COMMAND: no nonce, attributes 0 (continueSession CLEAR), password or nothing.
    area.u32(session).sized16(EMPTY).u8(0).sized16(secret);
  }
  return area.bytes();
}
