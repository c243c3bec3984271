import { type DocumentSource, parseYaml, refuse } from '../../core/document.ts';
import { parseDuration } from '../../core/duration.ts';
import { AssayError, type ErrorDetail } from '../../core/errors.ts';
import { IMA_PCR } from '../../core/ima/binary.ts';
import { digestSize } from '../../core/tpm/constants.ts';
import { PROFILE_PCRS } from '../boot/boot-rules.ts';
import type { PcrRule, Policy, Recovery } from '../policy.ts';
import { compileBoot } from './boot.ts';
import { compileIma } from './ima.ts';
import { PolicyDocument } from './schema.ts';
import { compileWhen } from './when.ts';

const MAX_CHARACTERS = 16 * 1024 * 1024;
const HIGHEST_PCR = 23;
const MIN_INTERVAL_MS = 1000;
const AGGREGATED_PCRS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const MAX_TRUST_MS = 7 * 24 * 3_600_000;

// Any process on the node can reset these two at locality 0, so their values prove nothing.
const RESETTABLE = new Map([
  [16, 'it is the debug PCR, which binds the TLS channel to the quote'],
  [23, 'any process on the node can reset it'],
]);

/**
 * Reads a policy document (docs/policies.md) and compiles it.
 *
 * @param file name shown in errors
 * @throws {AssayError} `invalid-policy`, with every problem, its line and what was expected
 */
export function parsePolicy(text: string, file = 'policy'): Policy {
  const options = { file, code: 'invalid-policy' as const, kind: 'policy', maxCharacters: MAX_CHARACTERS };
  if (/^extends\s*:/m.test(text)) {
    const message = `policy ${file} extends others: make it one document with assay policy flatten`;
    throw new AssayError('invalid-policy', message);
  }
  const { value, source } = parseYaml(text, PolicyDocument, options);
  const problems = [
    ...checkFreshness(value, source),
    ...checkPcrs(value, source),
    ...checkRecovery(value, source),
  ];
  const boot = value.boot && compileBoot(value.boot, 2 * digestSize(value.pcrs.bank), source, problems);
  if (value.boot?.profile === 'no-log') problems.push(...checkLiterals(value, source));
  const ima = value.ima && compileIma(value.ima, source, problems);
  const judgesBoot = value.boot !== undefined && value.boot.profile !== 'no-log';
  const when = value.when && compileWhen(value.when, judgesBoot, source, problems);
  if (problems.length > 0) throw refuse(options, problems);
  return {
    ...compile(value),
    ...(boot ? { boot } : {}),
    ...(ima ? { ima } : {}),
    ...(when ? { when } : {}),
  };
}

function compile(document: PolicyDocument): Policy {
  const rules = Object.entries(document.pcrs.values ?? {}).map(compileRule);
  const named = [...parsePcrSet(document.pcrs.require), ...rules.map((rule) => rule.pcr)];
  // boot_aggregate is the hash of PCR 0 to 9.
  const files = document.ima ? [...AGGREGATED_PCRS, IMA_PCR] : [];
  const selection = new Set([
    ...named,
    ...(document.boot ? PROFILE_PCRS[document.boot.profile] : []),
    ...files,
  ]);
  return {
    name: document.name,
    description: document.description ?? '',
    freshness: {
      intervalMs: parseDuration(document.freshness.interval),
      trustForMs: parseDuration(document.freshness['trust-for']),
    },
    reaction: document.reaction,
    ...(document.recovery ? { recovery: recoveryOf(document.recovery) } : {}),
    pcrs: {
      bank: document.pcrs.bank,
      selection: [...selection].sort((a, b) => a - b),
      rules: rules.sort((a, b) => a.pcr - b.pcr),
    },
  };
}

function recoveryOf(recovery: NonNullable<PolicyDocument['recovery']>): Recovery {
  const rules = ['reboot', 're-enrolment'] as const;
  return new Map(rules.flatMap((rule) => (recovery[rule] === undefined ? [] : [[rule, recovery[rule]]])));
}

function checkRecovery({ reaction, recovery }: PolicyDocument, source: DocumentSource): ErrorDetail[] {
  if (!recovery || reaction === 'ban') return [];
  const message = `says nothing with the reaction ${reaction}: only a ban has to be lifted`;
  return [source.locate(['recovery'], message)];
}

function compileRule([pcr, rule]: [string, NonNullable<PolicyDocument['pcrs']['values']>[string]]): PcrRule {
  return {
    id: rule.id ?? `pcr.${Number(pcr)}`,
    pcr: Number(pcr),
    anyOf: new Set(rule['any-of']),
    ...(rule.why === undefined ? {} : { why: rule.why }),
  };
}

function checkFreshness(document: PolicyDocument, source: DocumentSource): ErrorDetail[] {
  const interval = parseDuration(document.freshness.interval);
  const trustFor = parseDuration(document.freshness['trust-for']);
  const problems: ErrorDetail[] = [];
  if (interval < MIN_INTERVAL_MS)
    problems.push(source.locate(['freshness', 'interval'], 'must be at least 1s'));
  if (trustFor < 2 * interval) {
    const problem = 'must be at least twice the interval, or one lost answer makes the node stale';
    problems.push(source.locate(['freshness', 'trust-for'], problem));
  }
  if (trustFor > MAX_TRUST_MS) problems.push(source.locate(['freshness', 'trust-for'], 'must be at most 7d'));
  return problems;
}

function checkPcrs(document: PolicyDocument, source: DocumentSource): ErrorDetail[] {
  const required = parsePcrSet(document.pcrs.require);
  const problems = required.flatMap((pcr) => checkPcr(pcr, ['pcrs', 'require'], source));
  if (required.length === 0)
    problems.push(source.locate(['pcrs', 'require'], 'names no PCR; write 0-7 or 0,2,7'));
  const ids = new Set<string>();
  for (const [key, rule] of Object.entries(document.pcrs.values ?? {})) {
    const path = ['pcrs', 'values', key];
    problems.push(...checkPcr(Number(key), path, source));
    problems.push(...checkDigests(rule['any-of'], document.pcrs.bank, [...path, 'any-of'], source));
    const { id } = compileRule([key, rule]);
    if (ids.has(id)) problems.push(source.locate(path, `another rule has the id "${id}" too`));
    ids.add(id);
  }
  return problems;
}

// Without a log only a value that is known beforehand says anything of a register.
function checkLiterals({ pcrs }: PolicyDocument, source: DocumentSource): ErrorDetail[] {
  const literal = Object.keys(pcrs.values ?? {}).some((pcr) => PROFILE_PCRS['no-log'].includes(Number(pcr)));
  const problem = 'judges nothing with profile no-log: give values in pcrs.values for some of PCR 0 to 7';
  return literal ? [] : [source.locate(['boot'], problem)];
}

function checkPcr(pcr: number, path: readonly string[], source: DocumentSource): ErrorDetail[] {
  if (pcr > HIGHEST_PCR)
    return [source.locate(path, `PCR ${pcr} does not exist, the highest is ${HIGHEST_PCR}`)];
  const why = RESETTABLE.get(pcr);
  return why === undefined ? [] : [source.locate(path, `PCR ${pcr} cannot be used: ${why}`)];
}

function checkDigests(
  digests: readonly string[],
  bank: Policy['pcrs']['bank'],
  path: readonly string[],
  source: DocumentSource,
): ErrorDetail[] {
  const size = 2 * digestSize(bank);
  return digests.flatMap((digest, index) =>
    digest.length === size
      ? []
      : [source.locate([...path, index], `has ${digest.length} hex digits, a ${bank} value has ${size}`)],
  );
}

/** `0-2,7` is [0, 1, 2, 7]; a range that runs backwards is empty. */
function parsePcrSet(text: string): number[] {
  const pcrs = new Set<number>();
  for (const part of text.split(',')) {
    const [first = '', last = first] = part.trim().split('-');
    for (let pcr = Number(first); pcr <= Number(last); pcr += 1) pcrs.add(pcr);
  }
  return [...pcrs];
}
