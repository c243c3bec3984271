import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pcrExtend } from '../../../agent/tpm/commands/pcr.ts';
import { Tpm } from '../../../agent/tpm/tpm.ts';
import { EV, eventDigest, parseEventLog } from '../../../core/eventlog/index.ts';
import { IMA_PCR, parseImaList } from '../../../core/ima/binary.ts';
import { imaTemplateData } from '../../../core/ima/entry.ts';
import { DigestSetBuilder } from '../../../policies/digests/build.ts';
import type { SwtpmNode } from './node.ts';
import type { World } from './world.ts';

/** Of the recorded list, before the first unknown program. */
export const CLEAN_ENTRIES = 39;

function vector(path: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`../../vectors/${path}`, import.meta.url)));
}

/**
 * A real machine's boot in the TPM of a test: every digest of its logs is extended again, so that live quotes fit the
 * recorded logs. A bare TPM has one client, so this and the agent take turns.
 */
export class Twin {
  readonly #node: SwtpmNode;
  #measured = 0;

  constructor(node: SwtpmNode) {
    this.#node = node;
  }

  get logs() {
    const at = (name: string) => join(this.#node.options.directory, name);
    return { boot: at('boot'), userspace: null, ima: null, imaBinary: at('ima') };
  }

  async boot(name: string): Promise<void> {
    const log = vector(`eventlog/${name}/binary_bios_measurements`);
    const extended = parseEventLog(log).events.filter(({ type }) => type !== EV.NO_ACTION);
    await this.#extend(
      extended.map((event) => [event.pcr, eventDigest(event, 'sha256') ?? new Uint8Array()]),
    );
    await writeFile(this.logs.boot, log);
    this.#measured = 0;
  }

  /** The kernel measures the files of a recorded list, up to an entry. */
  async use(name: string, upTo?: number): Promise<void> {
    const list = parseImaList(vector(`ima/${name}/binary_runtime_measurements`));
    const { start } = list.columns;
    const end = upTo ?? list.length;
    const digests: [number, Uint8Array][] = [];
    for (let entry = this.#measured; entry < end; entry += 1) {
      digests.push([IMA_PCR, hash('sha256', imaTemplateData(list, entry), 'buffer')]);
    }
    await this.#extend(digests);
    await writeFile(this.logs.imaBinary, list.bytes.subarray(0, start[end]));
    this.#measured = end;
  }

  async #extend(digests: readonly (readonly [number, Uint8Array])[]): Promise<void> {
    const tpm = await Tpm.open(this.#node.swtpm.address);
    for (const [pcr, digest] of digests)
      await tpm.use((channel) => pcrExtend(channel, pcr, 'sha256', digest));
    await tpm.close();
  }
}

/** The profile that ships, with times that suit a test. */
export function debianPolicy(): string {
  return readFileSync(new URL('../../../policies/profiles/debian-shim-grub.yaml', import.meta.url), 'utf8')
    .replace('interval: 30s', 'interval: 1s')
    .replace('trust-for: 5m', 'trust-for: 60s');
}

/** Uploads the set of all files that the recorded machine may use. @returns its id */
export async function storedSet(world: World): Promise<string> {
  const allowed: Record<string, string[]> = JSON.parse(Buffer.from(vector('ima/allowed.json')).toString());
  const builder = new DigestSetBuilder();
  for (const [path, digests] of Object.entries(allowed)) {
    for (const hex of digests) {
      const digest = new Uint8Array(Buffer.from(hex, 'hex'));
      builder.add({ path: new Uint8Array(Buffer.from(path)), algorithm: 'sha256', digest });
    }
  }
  const path = '/v1/digest-sets?name=debian';
  return (await world.api.sendBytes<{ id: string }>('verifier', path, builder.build())).id;
}
