import { printable } from '../../core/bytes/encoding.ts';
import { renderFields, shown, shownReason } from '../output/table.ts';
import type { InspectedEk } from './ek.ts';

/** For people. */
export function renderEk(ek: InspectedEk): string {
  const { tpm, missingIssuer, path } = ek;
  return renderFields([
    ['key', ek.key],
    ['subject', shown(ek.subject)],
    ['issuer', shown(ek.issuer)],
    ['serial', ek.serial],
    ['valid', `${ek.notBefore} to ${ek.notAfter}`],
    ['usage', ek.extKeyUsage.join(', ') || 'none is named'],
    ['tpm', tpm ? shown(`${tpm.manufacturer} ${tpm.model} ${tpm.version}`) : 'not named'],
    ['path', path.length > 0 ? path.map((name) => shown(name)).join('\n  <- ') : 'none'],
    ['missing', missingIssuer ? missing(missingIssuer) : undefined],
    ['faults', ek.faults.join(', ') || undefined],
    ['accepted', ek.ok ? 'yes' : 'NO'],
    ['because', ek.findings.map((finding) => shownReason(finding)).join('\n') || undefined],
  ]);
}

function missing({ subject, keyId, urls }: NonNullable<InspectedEk['missingIssuer']>): string {
  const places = urls.map((url) => `\nmay be at ${printable(url)}`).join('');
  return `${shown(subject)}${keyId === null ? '' : `, key id ${keyId}`}${places}`;
}
