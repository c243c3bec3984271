import { hash } from 'node:crypto';
import { fromBase64, toBase64 } from '../../core/bytes/encoding.ts';
import { ParseError } from '../../core/errors.ts';
import { imaBuffer } from '../../core/ima/buffer.ts';
import { imaEntry } from '../../core/ima/entry.ts';
import { imaKeyOfCertificate } from '../../core/ima/key.ts';
import type { ImaList } from '../../core/ima/list.ts';
import { parseCertificate } from '../../core/x509/certificate.ts';
import type { ImaKeyRule, ImaPolicy, KeyringRule } from '../ima-policy.ts';

/** A key that came into a keyring of the kernel, as the quote proves. */
export interface LearnedKey {
  /** Name of the keyring. */
  readonly keyring: string;
  /** Its certificate, DER in base64: as it is kept with a node's state. */
  readonly certificate: string;
}

/** A kernel has a handful; what comes beyond signs nothing. */
const MAX_LEARNED = 64;
const MAX_CERTIFICATE_BYTES = 8192;

/** Whether a key may come into the keyring. @param value what was measured, which its digest proves */
export function mayJoin({ keys }: KeyringRule, value: Uint8Array): boolean {
  return keys === 'any' || keys.has(hash('sha256', value, 'hex'));
}

/**
 * The keys of keyrings that the policy follows (rule `ima.keys`): those that are known, and those of the first `to`
 * entries, which the quote proves. Only a certificate that is the measured one is learned.
 */
export function learnKeys(
  { keyrings }: Pick<ImaPolicy, 'keyrings'>,
  list: ImaList,
  to: number,
  known: readonly LearnedKey[],
): readonly LearnedKey[] {
  const hasBuffer = list.templates.map(({ fields }) => fields.some(({ id }) => id === 'buf'));
  if (keyrings.size === 0 || !hasBuffer.includes(true)) return known;
  const learned = new Map(known.map((key) => [idOf(key), key]));
  for (let index = 0; index < to; index += 1) {
    if (!hasBuffer[list.columns.template[index] ?? 0]) continue;
    const buffer = imaBuffer(imaEntry(list, index));
    if (buffer?.content.type !== 'key' || buffer.value.length > MAX_CERTIFICATE_BYTES) continue;
    const { keyring } = buffer.content;
    const rule = keyrings.get(keyring);
    if (!rule || !mayJoin(rule, buffer.value) || learned.size >= MAX_LEARNED) continue;
    const key = { keyring, certificate: toBase64(buffer.value) };
    learned.set(idOf(key), key);
  }
  return [...learned.values()];
}

/** What the signatures of learned keys count for. A key that is too weak to be trusted signs nothing. */
export function rulesOfLearned(
  { keyrings }: Pick<ImaPolicy, 'keyrings'>,
  learned: readonly LearnedKey[],
): ImaKeyRule[] {
  return learned.flatMap(({ keyring, certificate }) => {
    const paths = keyrings.get(keyring)?.paths ?? [];
    if (paths.length === 0) return [];
    try {
      return [
        {
          id: keyring,
          key: imaKeyOfCertificate(parseCertificate(fromBase64(certificate, 'ima.learned'))),
          paths,
        },
      ];
    } catch (error) {
      if (error instanceof ParseError || error instanceof RangeError) return [];
      throw error;
    }
  });
}

function idOf({ keyring, certificate }: LearnedKey): string {
  return `${keyring} ${certificate}`;
}
