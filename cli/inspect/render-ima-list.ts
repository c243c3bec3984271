import { renderFields, renderTable } from '../output/table.ts';
import type { InspectedImaEntry, InspectedImaList } from './ima-list.ts';

/** For people: names were escaped when the list was read. */
export function renderImaList(list: InspectedImaList, withEntries: boolean): string {
  const { form, hash, entries, templates, violations, signed, bootAggregate } = list;
  const { replayed, others, wrongHash, leadsTo } = list;
  const head = renderFields([
    ['form', hash === 'sha1' ? form : `${form}, template hashes of ${hash}`],
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
    ...others.flatMap(otherFields),
    [
      'template hashes',
      wrongHash === null ? 'fit' : `that of entry ${wrongHash} is not of its data: the list was changed`,
    ],
    ['given value', leadsTo ? givenValue(leadsTo) : undefined],
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

function otherFields({ pcr, entries, replayed }: InspectedImaList['others'][number]) {
  const values = Object.entries(replayed).map(([bank, value]) => [`PCR ${pcr} ${bank}`, value] as const);
  return [[`PCR ${pcr}`, `${entries} entries, by the kernel's policy`] as const, ...values];
}

function givenValue({ entries, of, rule }: NonNullable<InspectedImaList['leadsTo']>): string {
  if (entries === null)
    return 'no number of the entries leads to it: the list was changed, or is of another boot';
  const how = rule === 'padded-sha1' ? ', extended with SHA-1 and zeros as kernels before 5.8 do' : '';
  return entries === of
    ? `all entries lead to it${how}`
    : `the first ${entries} entries lead to it${how}; ${of - entries} came later`;
}
