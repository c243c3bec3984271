import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Due, DueHeap, NOT_IN_HEAP } from '../../../../verifier/scheduler/due-heap.ts';

interface Item extends Due {
  readonly name: number;
}

const item = (name: number): Item => ({ name, due: 0, heapIndex: NOT_IN_HEAP });

test('whatever is put, moved and removed, items come out in order of their time', () => {
  const step = fc.record({
    name: fc.nat(15),
    due: fc.nat(100),
    act: fc.constantFrom('put', 'put', 'remove', 'pop'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const items = Array.from({ length: 16 }, (_, name) => item(name));
      const heap = new DueHeap<Item>();
      const model = new Map<Item, number>();
      for (const { name, due, act } of steps) {
        const one = items[name];
        if (!one) continue;
        if (act === 'put') {
          heap.put(one, due);
          model.set(one, due);
        } else if (act === 'remove') {
          heap.remove(one);
          model.delete(one);
        } else {
          const popped = heap.pop();
          expect(popped?.due).toBe(model.size === 0 ? undefined : Math.min(...model.values()));
          if (popped) model.delete(popped);
        }
        expect(heap.size).toBe(model.size);
      }
      const rest = [...model.values()].sort((a, b) => a - b);
      expect(rest.map(() => heap.pop()?.due)).toEqual(rest);
      expect(items.every(({ heapIndex }) => heapIndex === NOT_IN_HEAP)).toBe(true);
    }),
  );
});
