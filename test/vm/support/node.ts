import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePort } from '../../../demo/ports.ts';
import { swtpmCaCertificates } from '../../../tpm-sim/swtpm/certificate-authority.ts';
import { provisionSwtpm } from '../../../tpm-sim/swtpm/provision.ts';
import type { World } from '../../e2e/support/world.ts';
import { type Image, makeImage } from './image.ts';
import { Machine } from './machine.ts';
import { type HostPrograms, hostPrograms } from './programs.ts';
import { run } from './run.ts';

/** Where a guest of QEMU's user network finds its host. */
export const HOST_ADDRESS = '10.0.2.2';
export const ALIAS = 'vm-1';
/** Of the agent, in the machine. */
export const MATERIAL = '/run/assay-agent/node.pem';

/** A machine that boots what it was made of, with a TPM whose maker the registrar trusts. */
export class VirtualNode {
  readonly image: Image;
  readonly #directory: string;
  readonly #programs: HostPrograms;
  #machine: Machine | undefined;

  private constructor(directory: string, programs: HostPrograms, image: Image) {
    this.#directory = directory;
    this.#programs = programs;
    this.image = image;
  }

  static async make(): Promise<VirtualNode> {
    const programs = hostPrograms();
    const directory = await mkdtemp(join(tmpdir(), 'assay-vm-'));
    try {
      return new VirtualNode(directory, programs, await makeImage(directory, programs));
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  get machine(): Machine {
    if (!this.#machine) throw new Error('the machine was not started');
    return this.#machine;
  }

  /** Power on; its agent enrols by a join token. */
  async boot(world: World): Promise<void> {
    const ca = join(this.#directory, 'manufacturer');
    await provisionSwtpm(join(this.#directory, 'tpm'), { ca, vmId: ALIAS });
    const { root, issuer } = await swtpmCaCertificates(ca);
    await world.api.send('registrar', 'POST', '/v1/trust', { pem: `${root}${issuer}` });
    const port = await freePort();
    const settings = await this.#settings(world, port);
    const options = { directory: this.#directory, programs: this.#programs, image: this.image };
    this.#machine = await Machine.start({ ...options, settings, port });
    await this.#machine.booted();
  }

  /** For a test that failed. */
  async lastWords(): Promise<string> {
    return (await this.#machine?.lastWords()) ?? 'the machine was not started';
  }

  async close(): Promise<void> {
    await this.#machine?.close();
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #settings(world: World, port: number): Promise<string> {
    const folder = join(this.#directory, 'settings');
    await mkdir(folder);
    await writeFile(join(folder, 'agent.yaml'), agentConfig(world, port));
    await writeFile(join(folder, 'join-token'), await world.token());
    const archive = join(this.#directory, 'settings.tar');
    const whole = ['-b', '128', '--owner=0', '--group=0'];
    const tar = ['-C', folder, ...whole, '-cf', archive, 'agent.yaml', 'join-token'];
    await run(this.#programs.find('tar'), tar);
    return archive;
  }
}

function agentConfig(world: World, port: number): string {
  const { urls, pin } = world.installation;
  const fromGuest = (url: string) => `https://${HOST_ADDRESS}:${new URL(url).port}`;
  return stringify({
    ...{ registrar: fromGuest(urls.registrar), issuer: fromGuest(urls.issuer), 'ca-pin': pin },
    ...{ 'join-token-file': '/run/assay/join-token', alias: ALIAS, contact: `127.0.0.1:${port}` },
    logs: {
      boot: '/sys/kernel/security/tpm0/binary_bios_measurements',
      'ima-binary': '/sys/kernel/security/ima/binary_runtime_measurements',
    },
  });
}
