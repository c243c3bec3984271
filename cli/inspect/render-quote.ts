import { renderFields, renderTable, shown } from '../output/table.ts';
import type { InspectedQuote, QuoteCheck } from './quote.ts';

/** For people. */
export function renderQuote({ attest, key, signature, checks }: InspectedQuote): string {
  const head = renderFields([
    ...(attest ? attestFields(attest) : [['type', 'no attestation that is known here'] as const]),
    ['key', `${key.type}, scheme ${key.scheme}`],
    ['name', key.name ?? undefined],
    ['attributes', key.attributes?.join(', ')],
    ['signature', signature],
  ]);
  const table = renderTable<QuoteCheck>(
    [
      { title: '', value: ({ ok }) => (ok === null ? '-' : ok ? 'ok' : 'FAIL') },
      { title: 'CHECK', value: ({ what }) => what },
      { title: '', value: ({ messages }) => shown(messages.join('; '), '') },
    ],
    checks,
  );
  return `${head}\n\n${table}`;
}

type Fields = Parameters<typeof renderFields>[0];

function attestFields(attest: NonNullable<InspectedQuote['attest']>): Fields {
  const selection = Object.entries(attest.selection).map(
    ([bank, pcrs]) => `${bank}: ${pcrs.join(',') || 'none'}`,
  );
  return [
    ['type', attest.type],
    ['selection', selection.join('\n') || undefined],
    ['pcrDigest', attest.pcrDigest ?? undefined],
    ['extraData', attest.extraData || '(empty)'],
    ['clock', `${attest.clock} ms, ${attest.safe ? 'safe' : 'not safe'}`],
    ['counts', `${attest.resetCount} resets, ${attest.restartCount} restarts`],
    ['firmware', attest.firmwareVersion],
    ['signer', attest.qualifiedSigner],
  ];
}
