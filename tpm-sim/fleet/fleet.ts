import { addressOf } from './addresses.ts';
import { FleetManufacturer } from './manufacturer.ts';
import { FleetNode, type FleetServices } from './node.ts';

export interface FleetOptions {
  readonly services: FleetServices;
  readonly size: number;
  /** Second byte of their addresses: 127.N.0.0/16. */
  readonly network?: number;
  /** Begins the names of the nodes. */
  readonly prefix?: string;
}

/** How many nodes of a fleet do one thing at the same time. */
const AT_ONCE = 16;

/** N nodes in one process. They listen; what else they do, the caller says. */
export class Fleet {
  readonly manufacturer: FleetManufacturer;
  readonly nodes: readonly FleetNode[];
  readonly #clones: FleetNode[] = [];
  readonly #network: number;

  private constructor(manufacturer: FleetManufacturer, nodes: readonly FleetNode[], network: number) {
    this.manufacturer = manufacturer;
    this.nodes = nodes;
    this.#network = network;
  }

  static async start({ services, size, network = 1, prefix = 'fleet' }: FleetOptions): Promise<Fleet> {
    const manufacturer = await FleetManufacturer.create(new Date());
    const nodes: FleetNode[] = [];
    try {
      await eachOf(
        Array.from({ length: size }, (_, index) => index),
        async (index) => {
          const name = `${prefix}-${index + 1}`;
          nodes[index] = await FleetNode.start({
            name,
            services,
            manufacturer,
            ...addressOf(index, network),
          });
        },
      );
    } catch (error) {
      await Promise.all(nodes.map((node) => node.close()));
      throw error;
    }
    return new Fleet(manufacturer, nodes, network);
  }

  /** What an operator imports to admit all of them: the CSV of `assay inventory import`. */
  inventory(group: string): string {
    const rows = this.nodes.map(({ ekSha256, name }) => `${ekSha256},,,${name},${group}`);
    return `ek_sha256,certificate_serial,certificate_issuer,asset_name,group\n${rows.join('\n')}\n`;
  }

  /** Does something with every node, a few at once, and counts how it ended: `ok`, or the error's code and rule. */
  async each(work: (node: FleetNode) => Promise<unknown>): Promise<Readonly<Record<string, number>>> {
    const counts: Record<string, number> = {};
    await eachOf(this.nodes, async (node) => {
      const outcome = await work(node).then(() => 'ok', outcomeOf);
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    });
    return counts;
  }

  /** A second holder of a node's keys, enrolled in its place. */
  async clone(node: FleetNode): Promise<FleetNode> {
    const clone = await node.clone(addressOf(this.#clones.length, this.#network + 1));
    this.#clones.push(clone);
    await clone.enrol();
    return clone;
  }

  get polls(): number {
    return this.nodes.reduce((sum, { polls }) => sum + polls, 0);
  }

  get notices(): number {
    return this.nodes.reduce((sum, { notices }) => sum + notices, 0);
  }

  async close(): Promise<void> {
    await Promise.all([...this.nodes, ...this.#clones].map((node) => node.close()));
  }
}

function outcomeOf(error: unknown): string {
  const { code, rules, message } = error as { code?: string; rules?: readonly string[]; message: string };
  return [code ?? message, ...(rules ?? [])].join(' ');
}

async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  const worker = async () => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
