import { type AttestAnswer, type AttestTarget, attestX509pop } from './attest.ts';
import { CHAIN_EVASIONS } from './evasion-chains.ts';
import { LEAF_EVASIONS } from './evasion-leaves.ts';
import type { EvasionCast, EvasionRow } from './evasion-row.ts';

/** All that is tried; the first row is a good node. */
export const EVASIONS: readonly EvasionRow[] = [...LEAF_EVASIONS, ...CHAIN_EVASIONS];

const STRANGERS =
  'the server accepts no nodes of this PKI, so nothing else was tried: see ca_bundle_path, the group and the clocks';

export interface EvasionResult {
  readonly row: EvasionRow;
  readonly answer: AttestAnswer;
  /** What is wrong with the answer; absent when it is as it must be. */
  readonly problem?: { readonly message: string; readonly remedy: string };
}

/** Whether the first row shows that the server accepts nodes of this PKI at all: else the others prove nothing. */
export function acceptsNodes({ answer }: EvasionResult): boolean {
  return answer.ok;
}

/** Tries one row on a server. @throws {ConnectError} when it cannot be reached */
export async function tryEvasion(
  target: AttestTarget,
  row: EvasionRow,
  cast: EvasionCast,
): Promise<EvasionResult> {
  const answer = await attestX509pop(target, await row.make(cast));
  const problem = problemOf(row, answer, cast.node.path);
  return { row, answer, ...(problem === undefined ? {} : { problem }) };
}

function problemOf(
  { id, must, remedy }: EvasionRow,
  answer: AttestAnswer,
  own: string,
): EvasionResult['problem'] {
  if (!answer.ok) {
    // Whoever is refused gains nothing; a node that is as it should be has to come in.
    return id === 'own'
      ? { message: `a good node is refused: ${answer.message}`, remedy: STRANGERS }
      : undefined;
  }
  if (answer.path !== own) {
    return { message: `accepted as ${answer.path}, which is not its own id ${own}`, remedy };
  }
  return must === 'own' ? undefined : { message: 'accepted, though under its own id', remedy };
}
