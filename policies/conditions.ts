import { printable, toHex } from '../core/bytes/encoding.ts';
import type { Finding } from '../core/finding.ts';
import type { VerifiedQuote } from '../core/tpm/quote.ts';
import type { BootClaims } from './boot/claims.ts';

/** What conditions are asked of: nothing in it is the node's word alone. Integers are bigint, as CEL has them. */
export interface ConditionFacts {
  readonly pcrs: ReadonlyMap<bigint, string>;
  readonly tpm: {
    /** Milliseconds. */
    readonly clock: bigint;
    readonly resetCount: bigint;
    readonly restartCount: bigint;
    /** Hex. */
    readonly firmwareVersion: string;
  };
  readonly boot?: {
    /** Whether firmware said so; false where it said nothing. */
    readonly secureBoot: boolean;
    readonly firmware: readonly string[];
    readonly applications: readonly string[];
    readonly commandLines: readonly string[];
    readonly authorities: readonly Readonly<Record<string, string>>[];
    readonly sbat: Readonly<Record<string, bigint>>;
  };
}

/** One condition of a policy, compiled. */
export interface Condition {
  readonly id: string;
  /** As it stands in the policy. */
  readonly expression: string;
  readonly usesBoot: boolean;
  /** May throw for values that it cannot work with: then it does not hold. */
  readonly holds: (facts: ConditionFacts) => boolean;
}

/** Of each kind, and in all: with the bounds on an expression they bound the time that it takes. */
const MAX_ELEMENTS = 64;
const MAX_CHARACTERS = 16 * 1024;

/**
 * Conditions that do not hold, one finding each. Those about the boot are asked only where claims of it are proven:
 * without them the boot has failed already, or is undecided.
 */
export function evaluateConditions(
  conditions: readonly Condition[],
  quote: VerifiedQuote,
  claims: BootClaims | undefined,
): Finding[] {
  if (conditions.length === 0) return [];
  const facts = factsOf(quote, claims);
  return conditions
    .filter(({ usesBoot }) => claims !== undefined || !usesBoot)
    .flatMap((condition) => evaluateOne(condition, facts));
}

function evaluateOne({ id, expression, usesBoot, holds }: Condition, facts: ConditionFacts): Finding[] {
  if (usesBoot && facts.boot && isTooLong(facts.boot)) {
    const message = `the condition cannot be asked: the boot shows more than ${MAX_ELEMENTS} things of a kind, or texts of more than ${MAX_CHARACTERS} characters`;
    return [{ rule: id, message }];
  }
  try {
    if (holds(facts)) return [];
    return [{ rule: id, message: `the condition does not hold: ${printable(expression)}` }];
  } catch (error) {
    // Such as a key that is not in a map: the author decides with `in` whether that is good.
    const [why = ''] = error instanceof Error ? error.message.split('\n') : [];
    return [
      { rule: id, message: `the condition cannot be decided, ${printable(why)}: ${printable(expression)}` },
    ];
  }
}

function isTooLong(boot: NonNullable<ConditionFacts['boot']>): boolean {
  const lists = [
    boot.firmware,
    boot.applications,
    boot.commandLines,
    boot.authorities,
    Object.keys(boot.sbat),
  ];
  const characters = [...boot.firmware, ...boot.commandLines].join('').length;
  return characters > MAX_CHARACTERS || lists.some(({ length }) => length > MAX_ELEMENTS);
}

function factsOf({ pcrs, clockInfo, firmwareVersion }: VerifiedQuote, claims: BootClaims | undefined) {
  const facts: ConditionFacts = {
    pcrs: new Map([...pcrs].map(([pcr, value]) => [BigInt(pcr), toHex(value)])),
    tpm: {
      clock: clockInfo.clock,
      resetCount: BigInt(clockInfo.resetCount),
      restartCount: BigInt(clockInfo.restartCount),
      firmwareVersion: firmwareVersion.toString(16).padStart(16, '0'),
    },
  };
  return claims ? { ...facts, boot: bootFacts(claims) } : facts;
}

function bootFacts(claims: BootClaims): NonNullable<ConditionFacts['boot']> {
  return {
    secureBoot: claims.secureBoot === true,
    firmware: claims.firmwareVersions,
    applications: claims.applications,
    commandLines: claims.commandLines,
    authorities: claims.authorities,
    sbat: Object.fromEntries(Object.entries(claims.sbat).map(([name, level]) => [name, BigInt(level)])),
  };
}
