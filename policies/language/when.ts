import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import type { DocumentSource } from '../../core/document.ts';
import type { ErrorDetail } from '../../core/errors.ts';
import type { Condition, ConditionFacts } from '../conditions.ts';

/** Bounds on one condition: what a node shows may be long, and a condition is asked at each poll. */
const LIMITS = {
  maxAstNodes: 200,
  maxDepth: 24,
  maxListElements: 64,
  maxMapEntries: 64,
  maxCallArguments: 8,
} as const;
/** Loops within loops. */
const MAX_LOOPS = 2;
const LOOPS = new Set(['all', 'exists', 'exists_one', 'filter', 'map']);

const TPM = { clock: 'int', resetCount: 'int', restartCount: 'int', firmwareVersion: 'string' } as const;
const BOOT = {
  secureBoot: 'bool',
  firmware: 'list<string>',
  applications: 'list<string>',
  commandLines: 'list<string>',
  authorities: 'list<map<string, string>>',
  sbat: 'map<string, int>',
} as const;

const WITHOUT_BOOT = new Environment({ limits: LIMITS })
  .registerVariable('pcrs', 'map<int, string>')
  .registerVariable({ name: 'tpm', schema: TPM });
const WITH_BOOT = WITHOUT_BOOT.clone().registerVariable({ name: 'boot', schema: BOOT });

/**
 * Compiles the section `when`: conditions in CEL over what a quote proves. Each must be type-correct and of type bool.
 *
 * @param judgesBoot whether the policy reads a boot log: else nothing is known of the boot
 * @param problems what is wrong is added here
 */
export function compileWhen(
  section: Readonly<Record<string, string>>,
  judgesBoot: boolean,
  source: DocumentSource,
  problems: ErrorDetail[],
): readonly Condition[] {
  return Object.entries(section).flatMap(([name, expression]) => {
    try {
      return [compileOne(name, expression, judgesBoot ? WITH_BOOT : WITHOUT_BOOT)];
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const hint =
        !judgesBoot && error.message.includes('boot')
          ? ' (of the boot something is known only with a section boot that reads a log)'
          : '';
      problems.push(source.locate(['when', name], `${firstLine(error)}${hint}`));
      return [];
    }
  });
}

function compileOne(name: string, expression: string, environment: Environment): Condition {
  const program = environment.parse(expression);
  checkLoops(program.ast, 0);
  const { valid, type, error } = program.check();
  if (!valid) throw error ?? new TypeError('is not type-correct');
  if (type !== 'bool') throw new TypeError(`gives ${type}, bool is expected`);
  return {
    id: `when.${name}`,
    expression,
    usesBoot: mentions(program.ast, 'boot'),
    holds: (facts: ConditionFacts) => program(facts) === true,
  };
}

function checkLoops(node: ASTNode, depth: number): void {
  const name = calledName(node);
  // Its patterns run without a bound on time.
  if (name === 'matches')
    throw new TypeError('matches is not accepted: use startsWith, endsWith or contains');
  const inside = name !== undefined && LOOPS.has(name) ? depth + 1 : depth;
  if (inside > MAX_LOOPS) throw new TypeError(`has loops within loops, at most ${MAX_LOOPS} are accepted`);
  for (const child of childrenOf(node.args)) checkLoops(child, inside);
}

function mentions(node: ASTNode, name: string): boolean {
  return (
    (node.op === 'id' && node.args === name) || childrenOf(node.args).some((child) => mentions(child, name))
  );
}

function calledName({ op, args }: ASTNode): string | undefined {
  if (op !== 'call' && op !== 'rcall') return undefined;
  const [name] = Array.isArray(args) ? args : [];
  return typeof name === 'string' ? name : undefined;
}

/** Expressions inside, however deep they are wrapped in lists. */
function childrenOf(args: unknown): readonly ASTNode[] {
  if (Array.isArray(args)) return args.flatMap(childrenOf);
  return isNode(args) ? [args] : [];
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}

/** The rest shows the place with marks, and the place is named already. */
function firstLine({ message }: Error): string {
  return message.split('\n')[0] ?? message;
}
