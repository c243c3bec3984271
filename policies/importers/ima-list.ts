import { imaEntry } from '../../core/ima/entry.ts';
import type { ImaList } from '../../core/ima/list.ts';
import { isFileDigestName } from '../digests/digest-entry.ts';
import type { ImportSink } from './report.ts';

/**
 * What a node used, as it measured it: to learn from a machine that is known to be good. Nothing proves these entries
 * until a quote does; the source `learned` marks the set for good.
 */
export function importImaList(list: ImaList, sink: ImportSink): void {
  for (let index = 0; index < list.length; index += 1) {
    const entry = imaEntry(list, index);
    const shown = Buffer.from(entry.name).toString('utf8');
    if (shown === 'boot_aggregate') continue;
    const algorithm = entry.digest?.algo ?? '';
    if (entry.violation) sink.skip('the file was changed while it was in use', shown);
    else if (entry.fields.has('buf')) sink.skip('a measured buffer: name it in buffers', shown);
    else if (entry.digest?.type !== 'ima') sink.skip('the digest is not one of the content', shown);
    else if (!isFileDigestName(algorithm))
      sink.skip(`the digest is ${algorithm}; boot with ima_hash=sha256`, shown);
    else if (entry.name[0] !== 0x2f) sink.skip('the name is not an absolute path', shown);
    else sink.add({ path: entry.name, algorithm, digest: entry.digest.value });
  }
}
