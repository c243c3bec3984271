import { hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pcrExtend } from '../../agent/tpm/commands/pcr.ts';
import { Tpm } from '../../agent/tpm/tpm.ts';
import { DigestSetBuilder } from '../../policies/digests/build.ts';
import { MeasuredFiles } from '../../tpm-sim/fleet/measured-files.ts';
import { expectBanned } from './support/checks.ts';
import type { SwtpmNode } from './support/node.ts';
import { useWorld } from './support/world.ts';

const world = useWorld();
const ALLOWED = { '/usr/bin/ls': 'ls', '/usr/bin/date': 'date 1' };

/** Uses files on a node whose agent is stopped, since a bare TPM has one client: kernel and agent in turns. */
class Kernel {
  readonly list: string;
  readonly #node: SwtpmNode;
  readonly #files: MeasuredFiles;
  #digests: Uint8Array[] = [];

  constructor(node: SwtpmNode) {
    this.#node = node;
    this.list = join(node.options.directory, 'binary_runtime_measurements');
    const untouched = Array.from({ length: 10 }, () => new Uint8Array(32));
    this.#files = new MeasuredFiles(untouched, (digest) => this.#digests.push(digest));
  }

  async use(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [path, content] of Object.entries(files)) this.#files.use(path, content);
    const tpm = await Tpm.open(this.#node.swtpm.address);
    for (const digest of this.#digests) await tpm.use((channel) => pcrExtend(channel, 10, 'sha256', digest));
    await tpm.close();
    this.#digests = [];
    await writeFile(this.list, this.#files.bytes());
  }
}

test('a node passes while it uses allowed files, and loses all by one that is not', async () => {
  await world().setPolicy(`assay: policy/v1
name: files
freshness: { interval: 1s, trust-for: 60s }
reaction: ban
pcrs: { bank: sha256, require: 0-7 }
ima: { allow: ['${await storedSet()}'] }
`);
  const node = await world().node('measured');
  const kernel = new Kernel(node);
  const logs = { boot: null, userspace: null, ima: null, imaBinary: kernel.list };
  await kernel.use({ '/usr/bin/ls': 'ls' });
  await node.start({ token: await world().token(), logs });
  await node.events.until('material-written');

  await node.stop();
  await kernel.use({ '/usr/bin/date': 'date 1' });
  await node.start({ logs });
  await node.events.until('material-written');
  expect((await world().detail(node.id)).state).toBe('trusted');

  await node.stop();
  await kernel.use({ '/usr/bin/date': 'date 2' });
  await node.start({ logs });
  await expectBanned(world(), node.id, 'ima.digest');
  const { reasons } = await world().detail(node.id);
  expect(reasons[0]?.message).toBe(
    `/usr/bin/date is sha256:${hash('sha256', 'date 2')}; the policy knows it of coreutils 9.1-1 amd64`,
  );
  await node.events.until('destroyed');
  expect(existsSync(node.material)).toBe(false);
});

async function storedSet(): Promise<string> {
  const builder = new DigestSetBuilder();
  for (const [path, content] of Object.entries(ALLOWED)) {
    builder.add({
      path: new Uint8Array(Buffer.from(path)),
      algorithm: 'sha256',
      digest: new Uint8Array(hash('sha256', content, 'buffer')),
      package: { name: 'coreutils', version: '9.1-1', arch: 'amd64' },
    });
  }
  const path = '/v1/digest-sets?name=coreutils';
  return (await world().api.sendBytes<{ id: string }>('verifier', path, builder.build())).id;
}
