import type { BootMemo } from '../../policies/appraise.ts';
import type { BootEvaluation } from '../../policies/boot/evaluate.ts';

/** A fleet boots in a few ways; one that boots in more is judged anew now and then. */
const MAX_BOOTS = 5000;

/** Evaluations of boots under one version of a policy. When it is full, the oldest makes room. */
export function bootMemo(maxBoots = MAX_BOOTS): BootMemo {
  const known = new Map<string, BootEvaluation>();
  return {
    get: (key) => known.get(key),
    set(key, evaluation) {
      if (known.size >= maxBoots) {
        const [oldest] = known.keys();
        if (oldest !== undefined) known.delete(oldest);
      }
      known.set(key, evaluation);
    },
  };
}
