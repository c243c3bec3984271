import type { PackageRef } from '../digests/digest-entry.ts';
import { tarMembers } from './archive.ts';
import type { Bytes } from './byte-source.ts';
import { addContent, type FileContent, readContent } from './content.ts';
import type { ImportSink } from './report.ts';

/** How paths of files become paths as the kernel reports them. */
export interface PathRules {
  /** `/bin`, `/lib`, `/lib32`, `/lib64`, `/libx32` and `/sbin` are links into `/usr`: what is there is measured there. */
  readonly mergedUsr: boolean;
}

const MERGED = /^\/(bin|sbin|lib|lib32|lib64|libx32)(?=\/)/;

export function measuredPath(path: string, { mergedUsr }: PathRules): string {
  return mergedUsr ? path.replace(MERGED, '/usr/$1') : path;
}

/** Hashes every regular file of a tar archive; a hard link is its target's content at another path. */
export async function importTar(
  input: Bytes,
  sink: ImportSink,
  rules: PathRules,
  from?: PackageRef,
): Promise<void> {
  const contents = new Map<string, FileContent>();
  const add = (path: string, content: FileContent) =>
    addContent(sink, measuredPath(path, rules), content, from);
  for await (const { name, type, linkName, content } of tarMembers(input)) {
    const path = absolute(name);
    if (type === 'file' || type === 'contiguous-file') {
      const read = await readContent(content);
      contents.set(path, read);
      add(path, read);
    } else if (type === 'link') {
      const linked = contents.get(absolute(linkName));
      if (linked) add(path, linked);
      else sink.skip('a hard link whose target is not in the archive before it', path);
    }
  }
}

function absolute(name: string): string {
  return `/${name.replace(/^(?:\.?\/)+/, '')}`;
}
