import { createHash } from 'node:crypto';
import type { PackageRef } from '../digests/digest-entry.ts';
import { type Bytes, tarMembers } from './archive.ts';
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
  const digests = new Map<string, Uint8Array>();
  const add = (name: string, digest: Uint8Array) => {
    const path = new Uint8Array(Buffer.from(measuredPath(name, rules)));
    sink.add({ path, algorithm: 'sha256', digest, ...(from === undefined ? {} : { package: from }) });
  };
  for await (const { name, type, linkName, content } of tarMembers(input)) {
    const path = absolute(name);
    if (type === 'file' || type === 'contiguous-file') {
      const digest = await sha256(content);
      digests.set(path, digest);
      add(path, digest);
    } else if (type === 'link') {
      const digest = digests.get(absolute(linkName));
      if (digest) add(path, digest);
      else sink.skip('a hard link whose target is not in the archive before it', path);
    }
  }
}

export async function sha256(content: Bytes): Promise<Uint8Array> {
  const digest = createHash('sha256');
  for await (const chunk of content) digest.update(chunk);
  return new Uint8Array(digest.digest());
}

function absolute(name: string): string {
  return `/${name.replace(/^(?:\.?\/)+/, '')}`;
}
