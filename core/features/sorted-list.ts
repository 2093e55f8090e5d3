/** Most numbers in one block; a block is halved when it grows beyond. */
const BLOCK = 1024;

/**
 * Numbers in order, with repeats: adding, removing and looking up by rank take time with the square root of how many there
 * are at worst, so that a window of a million rows can slide.
 */
export class SortedList {
  #blocks: number[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(value: number): void {
    this.#size += 1;
    const index = this.#blockOf(value);
    const block = this.#blocks[index];
    if (!block) {
      this.#blocks.push([value]);
      return;
    }
    block.splice(lowerBound(block, value), 0, value);
    if (block.length > BLOCK) this.#blocks.splice(index + 1, 0, block.splice(BLOCK >> 1));
  }

  /** Takes one of this value away; nothing happens where there is none. */
  remove(value: number): void {
    const index = this.#blockOf(value);
    const block = this.#blocks[index];
    if (!block) return;
    const at = lowerBound(block, value);
    if (block[at] !== value) return;
    block.splice(at, 1);
    this.#size -= 1;
    if (block.length === 0) this.#blocks.splice(index, 1);
  }

  /** The value with so many before it; `rank` is in [0, size). */
  at(rank: number): number {
    let before = rank;
    for (const block of this.#blocks) {
      if (before < block.length) return block[before] as number;
      before -= block.length;
    }
    return Number.NaN;
  }

  /** First block that ends at or after the value, else the last one. */
  #blockOf(value: number): number {
    let low = 0;
    let high = this.#blocks.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      const block = this.#blocks[middle] as number[];
      if ((block[block.length - 1] as number) < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** First index whose value is not below. */
function lowerBound(sorted: number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
