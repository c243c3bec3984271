import { renderFields, renderTable } from '../output/table.ts';
import type { InspectedImaEntry, InspectedImaList } from './ima-list.ts';

/** For people: names were escaped when the list was read. */
export function renderImaList(list: InspectedImaList, withEntries: boolean): string {
  const { form, entries, templates, violations, signed, bootAggregate, replayed, wrongHash, leadsTo } = list;
  const head = renderFields([
    ['form', form],
    ['entries', String(entries.length)],
    [
      'templates',
      Object.entries(templates)
        .map(([name, count]) => `${name} ${count}`)
        .join(', '),
    ],
    ['violations', String(violations)],
    ['signed', String(signed)],
    ['boot_aggregate', bootAggregate ?? 'missing: the list does not begin at the boot'],
    ...Object.entries(replayed).map(([bank, value]) => [`PCR 10 ${bank}`, value] as const),
    [
      'template hashes',
      wrongHash === null ? 'fit' : `that of entry ${wrongHash} is not of its data: the list was changed`,
    ],
    ['given value', leadsTo ? givenValue(leadsTo.entries, entries.length) : undefined],
  ]);
  if (!withEntries) return head;
  const table = renderTable<InspectedImaEntry>(
    [
      { title: '#', value: ({ number }) => String(number), align: 'right' },
      { title: 'template', value: ({ template }) => template },
      { title: 'digest', value: ({ digest, violation }) => (violation ? 'VIOLATION' : (digest ?? '-')) },
      { title: 'name', value: ({ name }) => name },
    ],
    entries,
  );
  return `${head}\n\n${table}`;
}

function givenValue(covered: number | null, length: number): string {
  if (covered === null)
    return 'no number of the entries leads to it: the list was changed, or is of another boot';
  const rest = length - covered;
  return rest === 0
    ? 'all entries lead to it'
    : `the first ${covered} entries lead to it; ${rest} came later`;
}
