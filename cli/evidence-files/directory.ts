import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AssayError, ParseError } from '../../core/errors.ts';
import { parsePcrBlob } from '../../core/messages/keylime/pcr-blob.ts';
import { parseTpm2bPublic, parseTpmtPublic, type TpmtPublic } from '../../core/tpm/public.ts';
import type { KeptEvidence } from '../../policies/appraise-offline.ts';
import { sentLog } from '../../policies/boot/evaluate.ts';
import { readSentList } from '../../policies/rules/ima-list.ts';
import { decodeBinary } from './decode.ts';

const MAX_BYTES = 256 * 1024 * 1024;

/**
 * Reads evidence as people have it: a quote in the files of tpm2-tools (QUOTE.msg, QUOTE.sig, QUOTE.pcrs), the AK as
 * ak.pub, perhaps a nonce in hex, and logs under the names that the kernel gives them.
 *
 * @param quote name of the quote's files, without what follows the dot
 * @throws {AssayError} `malformed` for a file that is missing or not what it should be
 */
export async function readEvidenceDirectory(directory: string, quote = 'quote'): Promise<KeptEvidence> {
  const find = (name: string) => readOptional(join(directory, name));
  const need = async (name: string, what: string): Promise<Uint8Array> => {
    const bytes = await find(name);
    if (bytes) return decodeBinary(bytes);
    throw new AssayError('malformed', `${directory} has no ${name}: ${what} is expected there`);
  };
  const attest = await need(`${quote}.msg`, 'TPMS_ATTEST, as tpm2_quote -m writes it,');
  const signature = await need(`${quote}.sig`, 'TPMT_SIGNATURE, as tpm2_quote -s writes it,');
  const pcrs = await need(`${quote}.pcrs`, 'the PCR values, as tpm2_quote -o writes them,');
  const ak = await need('ak.pub', 'the AK as TPM2B_PUBLIC or TPMT_PUBLIC, as tpm2_createak -u writes it,');
  const nonce = await find('nonce');
  const [firmware, userspace] = [await find('binary_bios_measurements'), await find('tpm2-measure.log')];
  const ima = await findList(find);
  return {
    ...{ attest, signature },
    akPublic: parsed(join(directory, 'ak.pub'), () => readPublic(ak)),
    pcrValues: parsed(join(directory, `${quote}.pcrs`), () => parsePcrBlob(pcrs).values),
    nonce: nonce && decodeBinary(nonce),
    boot: {
      ...(firmware ? { firmware: sentLog(firmware) } : {}),
      ...(userspace ? { userspace: sentLog(userspace) } : {}),
    },
    ...(ima ? { ima: readSentList({ ...ima, firstEntry: 0 }) } : {}),
  };
}

async function findList(find: (name: string) => Promise<Uint8Array | undefined>) {
  const binary = await find('binary_runtime_measurements');
  if (binary) return { form: 'binary', bytes: binary } as const;
  const ascii = await find('ascii_runtime_measurements');
  return ascii && ({ form: 'ascii', bytes: ascii } as const);
}

/** TPM2B has its size before it; a TPMT begins with the type of its key. */
function readPublic(bytes: Uint8Array): TpmtPublic {
  const size = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  return size === bytes.length - 2 ? parseTpm2bPublic(bytes) : parseTpmtPublic(bytes);
}

function parsed<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    throw new AssayError('malformed', `${path}: ${error.message}`);
  }
}

async function readOptional(path: string): Promise<Uint8Array | undefined> {
  try {
    const bytes = await readFile(path);
    if (bytes.length <= MAX_BYTES) return new Uint8Array(bytes);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    const why = error instanceof Error ? error.message : String(error);
    throw new AssayError('malformed', `${path} cannot be read: ${why}`);
  }
  throw new AssayError('too-large', `${path} has more than ${MAX_BYTES} bytes`);
}
