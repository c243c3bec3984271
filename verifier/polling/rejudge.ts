import { setImmediate as nextTurn } from 'node:timers/promises';
import { toBase64 } from '../../core/bytes/encoding.ts';
import type { Finding } from '../../core/finding.ts';
import type { Logger } from '../../platform/logging.ts';
import type { StoredEvidence } from '../domain/evidence.ts';
import { judgeKept, type KeptEvidence } from '../domain/kept-evidence.ts';
import { effectOf } from '../domain/transition.ts';
import type { Failure } from './judgement.ts';
import type { AssignedPolicy, PolicyBook } from './policy-book.ts';
import type { PolledNode } from './polled-node.ts';

export type RejudgeOutcome = 'fail' | 'pass' | 'ask';

export interface RejudgerOptions {
  readonly policies: PolicyBook;
  readonly load: (nodeId: string) => Promise<KeptEvidence | undefined>;
  /** Ends trust, as a fail of a poll does. */
  readonly fail: (node: PolledNode, failure: Failure) => Promise<unknown>;
  readonly now: () => number;
  readonly onOutcome: (outcome: RejudgeOutcome) => void;
  readonly logger: Logger;
}

/**
 * When another policy counts for nodes that are trusted, judges them by what they showed last, without asking them: one
 * that cannot be reached does not stay trusted under rules that forbid what it was seen to run.
 *
 * It can only end trust. What passes, and what cannot be judged from what is kept, waits for the next quote.
 */
export class Rejudger {
  readonly #options: RejudgerOptions;
  readonly #waiting = new Set<PolledNode>();
  /** By which policy each was judged here, whatever came of it. */
  readonly #judgedBy = new WeakMap<PolledNode, string>();
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(options: RejudgerOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Those whose policy is still the one they were judged by are left alone. */
  add(nodes: Iterable<PolledNode>): void {
    for (const node of nodes) if (this.#policyToJudge(node)) this.#waiting.add(node);
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined;
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  /** One at a time, and polls in between: a change for a whole fleet must not hold them up. */
  async #work(): Promise<void> {
    for (const node of this.#waiting) {
      if (this.#closed) return;
      this.#waiting.delete(node);
      await this.#judge(node).catch((error: unknown) => {
        const { logger } = this.#options;
        logger.warn({ err: error, node: node.record.id }, 'a node could not be judged by what is kept of it');
      });
      await nextTurn();
    }
  }

  #policyToJudge(node: PolledNode): AssignedPolicy | undefined {
    const { policies, now } = this.#options;
    const { standing, trustedUntil, nodeVersion, outcome, policy } = node.trust;
    const isTrusted = standing === 'passing' && nodeVersion === node.record.version && trustedUntil > now();
    const assigned = policies.policyFor(node.record);
    if (node.gone || !isTrusted || !assigned || assigned.policy.reaction === 'report') return undefined;
    const name = nameOf(assigned);
    // A poll that decided nothing names the new policy too.
    const passed = outcome === 'pass' && policy === name;
    return passed || this.#judgedBy.get(node) === name ? undefined : assigned;
  }

  async #judge(node: PolledNode): Promise<void> {
    const { load, policies, onOutcome } = this.#options;
    const { passes } = node;
    const kept = await load(node.record.id);
    const assigned = this.#policyToJudge(node);
    // A quote came meanwhile: that is newer.
    if (!assigned || node.passes !== passes) return;
    this.#judgedBy.set(node, nameOf(assigned));
    const { policy } = kept?.evidence ?? {};
    if (policy && nameOf(policy) === nameOf(assigned)) return;
    if (!kept || kept.evidence.akPublic !== toBase64(node.record.akPublic)) return onOutcome('ask');
    const knowledge = { ...policies.knowledge(), ...assigned.memos };
    const judged = judgeKept(assigned.policy, kept, knowledge);
    if (judged.kind !== 'fail') return onOutcome(judged.kind);
    // Of another boot: what it ran then is not what is trusted now.
    if (judged.verdict.clock?.resetCount !== node.clock?.resetCount) return onOutcome('ask');
    onOutcome('fail');
    await this.#end(node, assigned, kept, judged.verdict);
  }

  async #end(
    node: PolledNode,
    assigned: AssignedPolicy,
    kept: KeptEvidence,
    verdict: Extract<ReturnType<typeof judgeKept>, { kind: 'fail' }>['verdict'],
  ): Promise<void> {
    const effect = effectOf(verdict, assigned.policy.reaction);
    if (effect === 'report') return;
    const policy = { name: assigned.name, version: assigned.version };
    const finding: Finding = {
      rule: 'evidence.kept',
      message: `judged by what the node showed at ${kept.at.toISOString()}, without asking it again`,
    };
    // As it is stored, which was checked when it was read; judged by this policy now.
    const evidence = { ...kept.evidence, policy } as StoredEvidence;
    await this.#options.fail(node, {
      ...{ kind: 'fail', record: node.record, epoch: node.trust.epoch, askedAt: this.#options.now(), policy },
      ...{ findings: [...verdict.findings, finding], effect, evidence },
      ...(node.clock ? { clock: node.clock } : {}),
    });
  }
}

function nameOf({ name, version }: Pick<AssignedPolicy, 'name' | 'version'>): string {
  return `${name}@${version}`;
}
