import type { InspectedEvent, InspectedEventLog } from '../../core/eventlog/index.ts';
import { renderFields, renderTable } from '../output/table.ts';

const MAX_TEXT = 96;

/** An event, and the rules that it breaks where it was judged. */
type ShownEvent = InspectedEvent & { readonly rules?: readonly string[] };
type Shown = Omit<InspectedEventLog, 'events' | 'format'> & {
  readonly format: string;
  readonly events: readonly ShownEvent[];
};

/** For people: what the log says was escaped when it was read. */
export function renderEventLog(log: Shown, withDigests = false): string {
  const { format, banks, events, replayed, warnings } = log;
  const head = renderFields([
    ['format', format],
    ['banks', banks.join(', ')],
    ['events', String(events.length)],
  ]);
  const fails = events.some(({ rules = [] }) => rules.length > 0);
  const table = renderTable<ShownEvent>(
    [
      { title: '#', value: ({ number }) => String(number), align: 'right' },
      { title: 'register', value: ({ register }) => register ?? '-' },
      { title: 'type', value: ({ type }) => type },
      ...(fails ? [{ title: 'fails', value: ({ rules }: ShownEvent) => rules?.join(', ') ?? '' }] : []),
      ...(withDigests
        ? [{ title: 'digests', value: ({ digests }: InspectedEvent) => digestsOf(digests) }]
        : []),
      { title: 'proven', value: ({ proven, why }) => (proven ? 'yes' : (why ?? 'no')) },
      { title: 'says', value: ({ says }) => (says.length > MAX_TEXT ? `${says.slice(0, MAX_TEXT)}…` : says) },
    ],
    events,
  );
  const values = Object.entries(replayed).map(
    ([bank, registers]) => `replayed, ${bank}\n${renderFields(Object.entries(registers))}`,
  );
  const told = warnings.map(({ code, offset, message }) => `warning at byte ${offset}: ${code}: ${message}`);
  return [head, table, ...values, ...(told.length > 0 ? [told.join('\n')] : [])].join('\n\n');
}

function digestsOf(digests: InspectedEvent['digests']): string {
  return Object.entries(digests)
    .map(([bank, digest]) => `${bank}:${digest}`)
    .join(' ');
}
