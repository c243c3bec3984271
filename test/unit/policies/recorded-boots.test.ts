import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { parsePcrBlob } from '../../../core/messages/keylime/pcr-blob.ts';
import { parseTpm2bPublic } from '../../../core/tpm/public.ts';
import { appraiseOffline, type KeptEvidence } from '../../../policies/appraise-offline.ts';
import type { BootProfile } from '../../../policies/boot/boot-rules.ts';
import { draftBoot } from '../../../policies/boot/draft.ts';
import { sentLog } from '../../../policies/boot/evaluate.ts';
import { DigestSetBuilder } from '../../../policies/digests/build.ts';
import { DigestSet } from '../../../policies/digests/digest-set.ts';
import { parsePolicy } from '../../../policies/language/parse.ts';
import { readSentList } from '../../../policies/rules/ima-list.ts';
import type { Verdict } from '../../../policies/verdict.ts';

// Whole evidence of real machines, quote and all, under a policy that was drafted from one good boot of their kind and
// allows the files of their root file system.

interface Recorded {
  readonly what: string;
  readonly verdict: string;
  readonly findings?: readonly string[];
  /** Directory of its firmware's log; absent where the machine had none. */
  readonly firmware?: string;
  /** Directory of its measurement list. */
  readonly ima: string;
  readonly nonce: string;
  readonly ak: string;
  readonly attest: string;
  readonly signature: string;
  readonly pcrs: string;
}

interface Doctored {
  readonly what: string;
  readonly verdict: string;
  readonly base: string;
  readonly part: 'firmware' | 'ima';
}

const VECTORS = new URL('../../vectors/', import.meta.url);
const read = (path: string) => new Uint8Array(readFileSync(new URL(path, VECTORS)));
const json = (path: string) => JSON.parse(Buffer.from(read(path)).toString('utf8'));
const { boots, doctored }: { boots: Record<string, Recorded>; doctored: Record<string, Doctored> } =
  json('evidence/recorded.json');

const lineWith = (ima: string) =>
  `console=ttyS0 loglevel=6 panic=-1 random.trust_cpu=on tpm_tis.interrupts=0 ${ima} initrd=initrd`;
const LINE = lineWith('ima_policy=tcb ima_hash=sha256 ima_template=ima-ng');
/** What the machines of kind `direct` may be started with. */
const LINES = [
  LINE,
  lineWith('ima_policy=tcb ima_hash=sha256 ima_template=ima-sig'),
  lineWith('ima_policy=tcb|critical_data ima_hash=sha256 ima_template=ima-ng'),
  lineWith('ima_policy=tcb ima_hash=sha1 ima_template=ima'),
];
const FILES = filesOfRoot();

/** Kinds of machines, and the good boot that their policy is drafted from. */
const KINDS = {
  direct: { profile: 'direct-kernel', reference: 'direct-clean-1' },
  secure: { profile: 'shim-grub', reference: 'sb-clean-1' },
  uki: { profile: 'uki', reference: 'uki-clean' },
  bios: { profile: 'bios', reference: 'bios-seabios' },
  mixed: { profile: 'direct-kernel', reference: 'ima-custom-policy-mixed' },
  large: { profile: 'direct-kernel', reference: 'direct-node-tpmrm' },
} as const satisfies Record<string, { profile: BootProfile; reference: string }>;

const PASSING: readonly (readonly [string, keyof typeof KINDS])[] = [
  ...(['direct-clean-1', 'direct-clean-2', 'direct-tis', 'direct-kernel-unsigned'] as const).map(
    (name) => [name, 'direct'] as const,
  ),
  ...(['banks-sha256-only', 'ima-incremental', 'ima-sig', 'ima-critical-data'] as const).map(
    (name) => [name, 'direct'] as const,
  ),
  ...(['sb-clean-1', 'sb-clean-2', 'sb-other-vm'] as const).map((name) => [name, 'secure'] as const),
  ...(['uki-clean', 'uki-db-append'] as const).map((name) => [name, 'uki'] as const),
  ['bios-seabios', 'bios'],
  ['ima-custom-policy-mixed', 'mixed'],
  ['direct-node-tpmrm', 'large'],
];

const CRITICAL = {
  kernel_version: 'any',
  dm_table_load: 'any',
  dm_device_resume: 'any',
  dm_device_remove: 'any',
};

/** What the machine of kind `mixed` measured besides files of its root. */
const MIXED = {
  files: { '/root/vmlinuz': ['51349501a3d1ff83836437d2b365fd2d57f2feb8642d315e5181dec23d4c3275'] },
  buffers: {
    '.builtin_trusted_keys': ['1fae9178641a540ff3c2554087247792fb63be344baa15c3abfb475c5a8bdaaf'],
    lab: ['4aa99da509e43ee6170cffaf89ae125a889e2ff89bcdcea29ec0347f5953ce15'],
    'kexec-cmdline': ['c3cb85d8be5cbd3de5ffaa94adb64cad7fc2cdfa981c38656d1ec09e4e455ca8'],
  },
};

test.each(PASSING)('%s passes', (name, kind) => {
  const { findings, outcome } = judge(kind, evidenceOf(name));
  expect(findings).toEqual([]);
  expect(outcome).toBe('pass');
});

const FAILING: readonly (readonly [string, keyof typeof KINDS, readonly string[]])[] = [
  ['direct-cmdline-changed', 'direct', ['boot.command-line PCR 9']],
  [
    'ima-unknown-binary',
    'direct',
    ['ima.digest /usr/local/bin/unknown', 'ima.digest /usr/local/bin/evil.sh'],
  ],
  ['ima-modified-binary', 'direct', ['ima.digest /usr/bin/date']],
  ['ima-violation-tomtou', 'direct', ['ima.digest /root/f', 'ima.violation /root/f']],
  ['banks-sha1-only', 'direct', ['quote.bank', 'quote.selection']],
  ['sb-cmdline-changed', 'secure', ['boot.file PCR 9', 'boot.command-line PCR 8']],
  ['sb-off-same-disk', 'secure', ['log.missing']],
  ['sb-unknown-binary', 'secure', ['ima.digest /usr/local/bin/unknown', 'ima.digest /usr/local/bin/evil.sh']],
  [
    'uki-cmdline-changed',
    'uki',
    ['boot.application PCR 4', 'boot.command-line PCR 9', 'boot.section PCR 11'],
  ],
];

test.each(FAILING)('%s fails', (name, kind, reasons) => {
  const verdict = judge(kind, evidenceOf(name));
  expect(verdict.outcome).toBe('fail');
  expect(told(verdict)).toEqual(reasons);
});

const LIES: readonly (readonly [string, keyof typeof KINDS, readonly string[]])[] = [
  ['ev-bad-specid', 'direct', ['log.parse']],
  ['ev-digest-changed', 'direct', ['log.replay PCR 4']],
  ['ev-duplicate-separator', 'direct', ['log.replay PCR 7']],
  ['ev-event-removed', 'direct', ['log.replay PCR 7']],
  ['ev-grub-cmdline-text-faked', 'secure', ['log.payload PCR 8']],
  ['ev-huge-event-size', 'direct', ['log.parse']],
  ['ev-startup-locality-injected', 'direct', ['log.replay PCR 0']],
  ['ev-truncated', 'direct', ['log.parse']],
  ['ev-zero-padded', 'direct', []],
  ['ima-cut-in-entry', 'direct', ['ima.bytes']],
  ['ima-digest-changed', 'direct', ['ima.prefix PCR 10']],
  ['ima-empty', 'direct', ['ima.prefix PCR 10']],
  ['ima-entries-swapped', 'direct', ['ima.prefix PCR 10']],
  ['ima-entry-removed', 'direct', ['ima.prefix PCR 10']],
  ['ima-extra-after-quote', 'direct', []],
  ['ima-huge-length', 'direct', ['ima.bytes']],
  ['ima-tail-missing', 'direct', ['ima.prefix PCR 10']],
  ['ima-trailing-zeros', 'direct', ['ima.bytes']],
  ['ima-unknown-hidden-by-removal', 'direct', ['ima.prefix PCR 10']],
];

test.each(LIES)('%s: a log that was changed', (name, kind, reasons) => {
  const { base, part } = doctored[name] ?? {};
  if (base === undefined || part === undefined) throw new Error(`nothing is recorded of ${name}`);
  const verdict = judge(kind, evidenceOf(base, { [part]: name }));
  expect(told(verdict)).toEqual(reasons);
  expect(verdict.outcome).toBe(reasons.length === 0 ? 'pass' : 'fail');
});

test('ima-legacy-sha1: SHA-1 proves no file, and no boot', () => {
  const verdict = judge('direct', evidenceOf('ima-legacy-sha1'));
  expect(verdict.outcome).toBe('fail');
  expect(new Set(verdict.findings.map(({ rule }) => rule))).toEqual(new Set(['ima.aggregate', 'ima.digest']));
});

test('every boot and every changed log that was recorded is judged here, as good as it was', () => {
  const judged = [...PASSING, ...FAILING].map(([name]) => name);
  expect([...judged, 'ima-legacy-sha1'].sort()).toEqual(Object.keys(boots).sort());
  for (const [name] of PASSING) expect(boots[name]?.verdict, name).toMatch(/^(pass|n\/a)$/);
  for (const [name] of FAILING) expect(boots[name]?.verdict, name).toBe('fail');
  expect(LIES.map(([name]) => name)).toEqual(Object.keys(doctored));
  for (const [name, , reasons] of LIES)
    expect(doctored[name]?.verdict === 'fail', name).toBe(reasons.length > 0);
});

/** Each rule with what it is about, in order. */
function told({ findings }: Verdict): string[] {
  return findings
    .map(({ rule, pcr, file }) => [
      rule,
      ...(pcr === undefined ? [] : [`PCR ${pcr}`]),
      ...(file ? [file.path] : []),
    ])
    .map((words) => words.join(' '))
    .filter((text, index, all) => all.indexOf(text) === index);
}

function judge(kind: keyof typeof KINDS, evidence: KeptEvidence) {
  const policy = policyOf(kind);
  return appraiseOffline(policy, evidence, {}, { sets: new Map([[FILES.id, FILES]]) }).verdict;
}

function policyOf(kind: keyof typeof KINDS) {
  const { profile, reference } = KINDS[kind];
  const { boot, pcrValues } = evidenceOf(reference);
  const section = draftBoot({
    ...{ profile, bank: 'sha256', values: pcrValues.get('sha256') ?? new Map() },
    firmware: boot?.firmware?.bytes ?? new Uint8Array(),
    ...(kind === 'direct' ? { commandLine: LINE } : {}),
  });
  const commandLine = kind === 'direct' ? { 'command-line': { 'any-of': LINES } } : {};
  return parsePolicy(`assay: policy/v1
name: ${kind}
freshness: { interval: 30s, trust-for: 5m }
reaction: ban
pcrs: { bank: sha256, require: '${kind === 'secure' ? '0-10, 14' : '0-12'}' }
boot: ${stringify({ ...section, ...commandLine }, { collectionStyle: 'flow', lineWidth: 0 }).trim()}
ima: ${JSON.stringify({
    allow: [FILES.id],
    ...(kind === 'mixed' ? { files: MIXED.files } : {}),
    buffers: { ...CRITICAL, ...(kind === 'mixed' ? MIXED.buffers : {}) },
  })}
`);
}

function evidenceOf(name: string, { firmware, ima }: { firmware?: string; ima?: string } = {}): KeptEvidence {
  const boot = boots[name];
  if (!boot) throw new Error(`nothing is recorded of ${name}`);
  const unbase = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));
  const log = firmware ?? boot.firmware;
  const list = read(`ima/${ima ?? boot.ima}/binary_runtime_measurements`);
  return {
    akPublic: parseTpm2bPublic(unbase(boot.ak)),
    attest: unbase(boot.attest),
    signature: unbase(boot.signature),
    pcrValues: parsePcrBlob(unbase(boot.pcrs)).values,
    nonce: new Uint8Array(Buffer.from(boot.nonce, 'hex')),
    boot: log === undefined ? {} : { firmware: sentLog(read(`eventlog/${log}/binary_bios_measurements`)) },
    ima: readSentList({ form: 'binary', bytes: list, firstEntry: 0 }),
  };
}

function filesOfRoot(): DigestSet {
  const builder = new DigestSetBuilder();
  const known: Record<string, readonly string[]> = json('ima/allowed.json');
  for (const [path, digests] of Object.entries(known)) {
    for (const digest of digests) {
      builder.add({
        path: new Uint8Array(Buffer.from(path)),
        algorithm: 'sha256',
        digest: new Uint8Array(Buffer.from(digest, 'hex')),
      });
    }
  }
  return DigestSet.parse(builder.build());
}
