import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { parsePcrBlob } from '../../../core/messages/keylime/pcr-blob.ts';
import { parseTpm2bPublic } from '../../../core/tpm/public.ts';
import { appraiseOffline, type KeptEvidence } from '../../../policies/appraise-offline.ts';
import { sentLog } from '../../../policies/boot/evaluate.ts';
import { parsePolicy } from '../../../policies/language/parse.ts';
import type { Policy } from '../../../policies/policy.ts';
import { readSentList } from '../../../policies/rules/ima-list.ts';
import { PROFILES } from './documents.ts';
import { target, vectorFile } from './target.ts';

const BOOT = parsePolicy(readFileSync(`${PROFILES}/debian-shim-grub.yaml`, 'utf8'));
const FILES = parsePolicy(`assay: policy/v1
name: files
freshness: { interval: 30s, trust-for: 5m }
reaction: ban
pcrs: { bank: sha256, require: 0-10 }
ima:
  files: { /usr/bin/x: ['${'ab'.repeat(32)}'] }
  exclude: [/usr/**]
  violations: { accept: [/var/**] }
`);

/** Evidence of a real machine in which one part was changed: the verdict is total, and twice the same. */
function judge(policy: Policy, quote: string, changed: Pick<KeptEvidence, 'boot' | 'ima'>): void {
  const part = (name: string) => vectorFile(`evidence/${quote}.${name}`);
  const kept: KeptEvidence = {
    akPublic: parseTpm2bPublic(vectorFile(`evidence/${quote.split('/')[0]}/ak.pub`)),
    ...{ attest: part('msg'), signature: part('sig'), pcrValues: parsePcrBlob(part('pcrs')).values },
    ...changed,
  };
  const once = appraiseOffline(policy, kept, {}, { sets: new Map() });
  const twice = appraiseOffline(policy, kept, {}, { sets: new Map() });
  if (!isDeepStrictEqual(once, twice)) throw new Error('the same evidence is judged in two ways');
}

export const JUDGEMENT_TARGETS = [
  target(
    'appraise-boot',
    () => [vectorFile('evidence/sb-clean-1/binary_bios_measurements')],
    (bytes) => judge(BOOT, 'sb-clean-1/quote_all', { boot: { firmware: sentLog(bytes) } }),
  ),
  target(
    'appraise-files',
    () => [vectorFile('evidence/direct-clean-1/binary_runtime_measurements')],
    (bytes) =>
      judge(FILES, 'direct-clean-1/quote', { ima: readSentList({ form: 'binary', bytes, firstEntry: 0 }) }),
  ),
];
