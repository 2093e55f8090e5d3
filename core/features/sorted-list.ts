import { firstNot } from '../dataset/first-not.ts';

/** Most items in one block; a block is halved when it grows beyond. */
const BLOCK = 1024;

/**
 * Items in order, with repeats: adding, removing and looking up by rank take time with the square root of how many there
 * are at worst, so that a window of a million rows can slide.
 */
export class SortedList<T> {
  readonly #order: (a: T, b: T) => number;
  #blocks: T[][] = [];
  #size = 0;

  constructor(order: (a: T, b: T) => number) {
    this.#order = order;
  }

  get size(): number {
    return this.#size;
  }

  add(item: T): void {
    this.#size += 1;
    const index = this.#blockOf(item);
    const block = this.#blocks[index];
    if (!block) {
      this.#blocks.push([item]);
      return;
    }
    block.splice(this.#lowerBound(block, item), 0, item);
    if (block.length > BLOCK) this.#blocks.splice(index + 1, 0, block.splice(BLOCK >> 1));
  }

  /** Takes one of these away; nothing happens where there is none. */
  remove(item: T): void {
    const index = this.#blockOf(item);
    const block = this.#blocks[index];
    if (!block) return;
    const at = this.#lowerBound(block, item);
    if (at === block.length || this.#order(block[at] as T, item) !== 0) return;
    block.splice(at, 1);
    this.#size -= 1;
    if (block.length === 0) this.#blocks.splice(index, 1);
  }

  /** The item with so many before it; undefined outside of [0, size). */
  at(rank: number): T | undefined {
    let before = rank;
    for (const block of this.#blocks) {
      if (before < block.length) return block[before];
      before -= block.length;
    }
    return undefined;
  }

  /** The greatest so many, in order. */
  greatest(count: number): T[] {
    let from = this.#blocks.length;
    let found = 0;
    while (from > 0 && found < count) found += (this.#blocks[--from] as T[]).length;
    return this.#blocks.slice(from).flat().slice(-count);
  }

  /** First block that ends at or after the item, else the last one. */
  #blockOf(item: T): number {
    const index = firstNot(this.#blocks, (block) => this.#order(block[block.length - 1] as T, item) < 0);
    return Math.max(0, Math.min(index, this.#blocks.length - 1));
  }

  /** First index whose item is not below. */
  #lowerBound(sorted: T[], item: T): number {
    return firstNot(sorted, (one) => this.#order(one, item) < 0);
  }
}
