import { styleText } from 'node:util';
import type { NodeState } from '../../core/messages/common.ts';

type Style = Parameters<typeof styleText>[0];

const STATE_STYLE: Readonly<Record<NodeState, Style>> = {
  trusted: 'green',
  enrolled: 'cyan',
  pending: 'yellow',
  stale: 'yellow',
  failed: 'red',
  banned: ['red', 'bold'],
  retired: 'dim',
};

export function styleState(state: NodeState): string {
  return styleText(STATE_STYLE[state], state);
}

export function styleOutcome(outcome: string | null): string {
  if (outcome === 'pass') return styleText('green', outcome);
  if (outcome === 'fail') return styleText('red', outcome);
  return outcome === null ? '-' : styleText('yellow', outcome);
}

/** How long ago, or how long still: `12s ago`, `now`, `in 4m`. */
export function relative(instant: string | null, now: Date): string {
  if (instant === null) return '-';
  const seconds = Math.round((Date.parse(instant) - now.getTime()) / 1000);
  // Clocks of two machines, and rounding: less than a second is no future.
  if (seconds === 0) return 'now';
  const text = span(Math.abs(seconds));
  return seconds < 0 ? `${text} ago` : `in ${text}`;
}

function span(seconds: number): string {
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)}h`;
  return `${Math.round(seconds / 86_400)}d`;
}
