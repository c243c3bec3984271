import type { LoadedNode } from '../store/nodes.ts';
import { type NodeRecord, type PolledNode, polledNode } from './polled-node.ts';

/** The nodes that this process polls, in the shards it holds. */
export class NodeRegistry {
  readonly #byId = new Map<string, PolledNode>();
  readonly #byShard = new Map<number, Set<PolledNode>>();

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): PolledNode | undefined {
    return this.#byId.get(id);
  }

  all(): IterableIterator<PolledNode> {
    return this.#byId.values();
  }

  add({ record, trust }: LoadedNode): PolledNode {
    const node = polledNode(record, trust);
    this.#byId.set(record.id, node);
    const shard = this.#byShard.get(record.shard) ?? new Set();
    this.#byShard.set(record.shard, shard.add(node));
    return node;
  }

  remove(node: PolledNode): void {
    this.#byId.delete(node.record.id);
    this.#byShard.get(node.record.shard)?.delete(node);
  }

  inShard(shard: number): readonly PolledNode[] {
    return [...(this.#byShard.get(shard) ?? [])];
  }
}

/**
 * Takes over what was read again of a node. What is made once of a record is kept while the record is the same one.
 *
 * @returns whether the node should be asked at once: it enrolled again, or its standing was changed by somebody else
 */
export function refreshNode(node: PolledNode, { record, trust }: LoadedNode): boolean {
  const sameRecord = isSame(node.record, record);
  const moved = node.trust.epoch !== trust.epoch || node.trust.standing !== trust.standing;
  if (!sameRecord) {
    node.identity = undefined;
    node.warm = false;
  }
  node.record = record;
  if (moved || !sameRecord) {
    node.recovery = new Map();
    node.trust = trust;
    // What was accepted since and is not stored yet counts, unless somebody made the node begin afresh.
    if (trust.clock === undefined || moved) {
      node.clock = trust.clock;
      node.ima = trust.ima;
    }
  }
  return !sameRecord || moved;
}

function isSame(a: NodeRecord, b: NodeRecord): boolean {
  return (
    a.version === b.version &&
    a.group === b.group &&
    (a.previousContact === null) === (b.previousContact === null)
  );
}
