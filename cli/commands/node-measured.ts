import type { Command } from 'commander';
import type { Boot, Files } from '../../core/messages/measurements.ts';
import { type CommandContext, show } from '../context.ts';
import { renderEventLog } from '../inspect/render-event-log.ts';
import { styleOutcome } from '../output/style.ts';
import { type Field, renderFields, renderTable, shown, shownReasons } from '../output/table.ts';

type Context = () => CommandContext;

/** What a node measured, for people to look at. */
export function nodeMeasuredCommands(node: Command, context: Context): void {
  node
    .command('boot <node>')
    .description(
      'registers and boot logs that it showed last: what explains each, and what of an event is proven',
    )
    .action((name: string) => boot(context(), name));
  node
    .command('files <node>')
    .description('its measurement list (IMA) in numbers, and the files that fail it')
    .action((name: string) => files(context(), name));
}

async function boot(context: CommandContext, name: string): Promise<void> {
  const api = await context.api();
  const found = await api.get<Boot>('verifier', `/v1/nodes/${await api.nodeId(name)}/boot`);
  show(context, found, ({ at, outcome, bank, pcrs, firmware, userspace, problems }) =>
    [
      `${styleOutcome(outcome)} at ${at}, bank ${shown(bank)}`,
      renderPcrs(pcrs),
      firmware ? renderEventLog(firmware) : 'no boot log of the firmware',
      ...(userspace ? [renderEventLog(userspace)] : []),
      ...problems.map((problem) => `what cannot be shown: ${shown(problem)}`),
    ].join('\n\n'),
  );
}

const WORDS: Readonly<Record<Boot['pcrs'][number]['status'], string>> = {
  replays: 'replays',
  literal: 'as after a reset',
  unexplained: 'NOT EXPLAINED',
  'measurement-list': 'measurement list',
  'channel-key': 'key of the agent',
  'no-log': 'no log',
};

function renderPcrs(pcrs: Boot['pcrs']): string {
  return renderTable<Boot['pcrs'][number]>(
    [
      { title: 'PCR', value: ({ pcr }) => String(pcr), align: 'right' },
      { title: 'VALUE', value: ({ value }) => value },
      { title: 'IS', value: ({ status }) => WORDS[status] },
      {
        title: 'EVENTS',
        value: ({ events }) => (events.length > 0 ? String(events.length) : ''),
        align: 'right',
      },
      { title: 'FAILS', value: ({ rules }) => rules.map((rule) => shown(rule)).join(', ') },
    ],
    pcrs,
  );
}

async function files(context: CommandContext, name: string): Promise<void> {
  const api = await context.api();
  const found = await api.get<Files>('verifier', `/v1/nodes/${await api.nodeId(name)}/files`);
  show(context, found, (value) => renderFields([...judgedFields(value), ...lastFields(value)]));
}

function judgedFields({ judged }: Files): readonly Field[] {
  if (!judged) return [['judged', 'nothing: the list is judged from its beginning next']];
  const { entries, policy, counts } = judged;
  const how = counts && Object.entries(counts).filter(([, count]) => count > 0);
  return [
    ['judged', `${entries} entries under ${shown(policy)}`],
    ['taken', how?.map(([kind, count]) => `${kind} ${count}`).join(', ')],
  ];
}

function lastFields({ last }: Files): readonly Field[] {
  if (!last) return [['evidence', 'none is kept']];
  const { at, outcome, list, failing } = last;
  return [
    ['evidence', `${outcome} at ${at}`],
    [
      'list',
      list ? `${list.entries} entries from ${list.firstEntry} on${list.complete ? '' : ', cut'}` : 'none',
    ],
    ['templates', list ? counted(list.templates) : undefined],
    ['changed in use', list ? String(list.violations) : undefined],
    ['failing', failing.length > 0 ? shownReasons(failing).join('\n') : undefined],
  ];
}

function counted(templates: Readonly<Record<string, number>>): string {
  return Object.entries(templates)
    .map(([name, count]) => `${shown(name)} ${count}`)
    .join(', ');
}
