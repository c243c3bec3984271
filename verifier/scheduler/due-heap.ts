/** Something that is due at a time. The heap keeps `heapIndex`. */
export interface Due {
  due: number;
  heapIndex: number;
}

export const NOT_IN_HEAP = -1;

/** A binary heap by `due`; moving and removing an item that is in it costs O(log n). */
export class DueHeap<T extends Due> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** The item that is due first; it stays in. */
  peek(): T | undefined {
    return this.#items[0];
  }

  pop(): T | undefined {
    const [first] = this.#items;
    if (first) this.remove(first);
    return first;
  }

  /** Puts an item in, or moves the one that is in, to `due`. */
  put(item: T, due: number): void {
    item.due = due;
    if (item.heapIndex === NOT_IN_HEAP) {
      item.heapIndex = this.#items.length;
      this.#items.push(item);
    }
    this.#settle(item);
  }

  /** Takes an item out; one that is not in is left alone. */
  remove(item: T): void {
    const index = item.heapIndex;
    if (index === NOT_IN_HEAP) return;
    item.heapIndex = NOT_IN_HEAP;
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#place(last, index);
    this.#settle(last);
  }

  #settle(item: T): void {
    this.#up(item);
    this.#down(item);
  }

  #up(item: T): void {
    while (item.heapIndex > 0) {
      const parentIndex = (item.heapIndex - 1) >> 1;
      const parent = this.#items[parentIndex];
      if (!parent || parent.due <= item.due) return;
      this.#swap(item, parent);
    }
  }

  #down(item: T): void {
    for (;;) {
      const left = this.#items[2 * item.heapIndex + 1];
      const right = this.#items[2 * item.heapIndex + 2];
      const child = right && left && right.due < left.due ? right : left;
      if (!child || child.due >= item.due) return;
      this.#swap(child, item);
    }
  }

  #swap(a: T, b: T): void {
    const index = a.heapIndex;
    this.#place(a, b.heapIndex);
    this.#place(b, index);
  }

  #place(item: T, index: number): void {
    this.#items[index] = item;
    item.heapIndex = index;
  }
}
