import { printable } from '../../core/bytes/encoding.ts';
import { describeContent } from '../../core/eventlog/index.ts';
import type { Finding } from '../../core/finding.ts';
import type { MeasuredEvent } from './measured.ts';

/** What more there is to say: values, and what to do. */
type More = Pick<Finding, 'found' | 'expected' | 'remedy'>;

export const SECURE_BOOT = "turn Secure Boot on in the firmware's setup, and reboot";

/** What is wrong with an event, and which it is. */
export function eventFinding(
  rule: string,
  pcr: number,
  event: MeasuredEvent,
  problem: string,
  more: More = {},
): Finding {
  const { source: log, index } = event;
  return { rule, pcr, message: `${nameOf(event)} in PCR ${pcr} ${problem}`, event: { log, index }, ...more };
}

/** What is wrong with a register, or with what is not there. */
export function bootFinding(rule: string, pcr: number, message: string, more: More = {}): Finding {
  return { rule, pcr, message, ...more };
}

/** An event for people: its place, and what it says, marked where nobody has proven that. */
function nameOf({ source, index, content }: MeasuredEvent): string {
  const log = source === 'firmware' ? 'boot log' : 'userspace log';
  const text = `"${shorten(describeContent(content))}"`;
  return `event ${index} of the ${log} (${content.verified ? text : `it claims ${text}, which is not proven`})`;
}

const MAX_SHOWN = 160;

/** For a text that a node chose: escaped, and not without end. */
export function quoted(text: string): string {
  return `"${shorten(printable(text))}"`;
}

function shorten(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}
