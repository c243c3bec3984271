import type { PolicyDiff } from '../../policies/tools/diff.ts';
import type { FileChange, PackageChange } from '../../policies/tools/diff-files.ts';
import { shown } from './table.ts';

/** Of one kind, so many are shown. */
const SHOWN = 20;
const SIGNS: Readonly<Record<FileChange['kind'], string>> = { added: '+', removed: '-', changed: '~' };

/** A comparison for people; all of it is in the JSON. */
export function renderPolicyDiff({ allowed, forbidden, settings, packages, files }: PolicyDiff): string {
  const texts = (changes: readonly { what: string; message: string }[]) =>
    [...Map.groupBy(changes, ({ what }) => what).values()].flatMap((group) =>
      limited(group.map(({ message }) => message)),
    );
  const of = (kind: PackageChange['kind']) => {
    const found = packages.filter((change) => change.kind === kind);
    return limited(found.map((change) => renderPackage(change, packages)));
  };
  return [
    section('becomes allowed', texts(allowed)),
    section('becomes forbidden', texts(forbidden)),
    section(
      'settings',
      settings.map(({ what, from, to, effect }) =>
        [`${what} ${from} -> ${to}`, ...(effect === 'other' ? [] : [effect])].join(': '),
      ),
    ),
    section('packages changed', of('changed')),
    section('packages added', of('added')),
    section('packages removed', of('removed')),
    section(
      'files without a package (+ added, - removed, ~ other bytes)',
      limited(files.map(({ kind, path }) => `${SIGNS[kind]} ${path}`)),
    ),
  ]
    .flat()
    .join('\n');
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${shown(line)}`)];
}

function limited(lines: readonly string[]): string[] {
  const rest = lines.length - SHOWN;
  return rest <= 0 ? [...lines] : [...lines.slice(0, SHOWN), `and ${rest} more`];
}

function renderPackage(change: PackageChange, all: readonly PackageChange[]): string {
  const { kind, name, arch, from, to, files, allowed, forbidden } = change;
  const isAmbiguous = all.some((other) => other.name === name && other.arch !== arch);
  const title = isAmbiguous && arch !== '' ? `${name}:${arch}` : name;
  const [before, after] = [from.join(', '), to.join(', ')];
  const versions = kind === 'changed' && before !== after ? `${before} -> ${after}` : after || before;
  const count = `${title} ${versions}: ${files} ${files === 1 ? 'file' : 'files'}`;
  if (kind !== 'changed') return count;
  if (forbidden === 0) return `${count} more, those before stay allowed`;
  if (allowed === 0) return `${count} less`;
  return before === after ? `${count} with other bytes under the same version` : count;
}
