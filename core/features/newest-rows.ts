/**
 * The newest row of a key as it was known at each of many questions, over typed arrays. Rows come in any order and are not kept:
 * memory is that of the questions. Neither rows with one time nor one key with all rows cost more than others.
 *
 * A row answers from when it enters (it has happened, and is known). It is offered to the first question of its key that is not
 * earlier, which keeps the newest of what it is offered; at the end each question hands what it has on to the next one, which
 * keeps its own where that is newer. So what is learned late never displaces a newer row, and an older row answers until then.
 *
 *   questions of a key          08:00   08:30   10:00   12:00   13:00
 *   row of 08:00, known 08:30           08:00
 *   row of 09:00, known 12:00                           09:00
 *   row of 07:00, known 12:30                                   07:00
 *   handed on                   none    08:00   08:00   09:00   09:00
 *
 * Rows that end (deleted, or replaced) answer a stretch of questions. Of a binary tree over all questions, node n above nodes
 * 2n and 2n + 1, a few nodes cover a stretch: the row is offered to those, and at the end each node hands on to the two below.
 *
 * Times are DuckDB's TIMESTAMPs as they are: microseconds in 64 bits, the infinities the largest of them. Nothing is rounded.
 */

export type Numbers = Float32Array | Float64Array;

/** What tells which of two rows is the newer: event, then known, then values one by one, NaN (missing) being the greatest. */
export interface RowColumns {
  events: BigInt64Array;
  knowns: BigInt64Array;
  values: Numbers[];
}

export interface EnteringRows extends RowColumns {
  /** Key of each row. */
  keys: Uint32Array;
  enters: BigInt64Array;
  /** From when on a row no longer answers; undefined where rows do not end. */
  gone: BigInt64Array | undefined;
}

/** Questions in order of key and time. Keys are whole numbers one after the other. */
export interface Questions {
  times: BigInt64Array;
  firstKey: number;
  /** Where the questions of each key start; one more, where the last ones end. */
  starts: Uint32Array;
}

/** Event time of a question without an answer: no TIMESTAMP has it. */
export const NO_ROW = -(2n ** 63n);

export class NewestRows {
  readonly #questions: Questions;
  readonly #best: RowColumns;
  readonly #mortal: boolean;

  /** `kinds`: of each value, how many bytes it has. */
  constructor(questions: Questions, kinds: readonly (4 | 8)[], mortal: boolean) {
    const length = questions.times.length * (mortal ? 2 : 1);
    this.#questions = questions;
    this.#mortal = mortal;
    this.#best = {
      events: new BigInt64Array(length).fill(NO_ROW),
      knowns: new BigInt64Array(length),
      values: kinds.map((bytes) => (bytes === 4 ? new Float32Array(length) : new Float64Array(length))),
    };
  }

  add(rows: EnteringRows): void {
    const { times, firstKey, starts } = this.#questions;
    const best = this.#best;
    for (let row = 0; row < rows.keys.length; row++) {
      const key = (rows.keys[row] as number) - firstKey;
      const end = starts[key + 1] as number;
      const from = firstFrom(times, starts[key] as number, end, rows.enters, row);
      if (from === end) continue;
      if (!rows.gone) offer(rows, row, best, from);
      else this.#cover(rows, row, from, firstFrom(times, from, end, rows.gone, row));
    }
  }

  #cover(rows: RowColumns, row: number, from: number, to: number): void {
    const leaves = this.#questions.times.length;
    for (let left = from + leaves, right = to + leaves; left < right; left >>= 1, right >>= 1) {
      if (left & 1) offer(rows, row, this.#best, left++);
      if (right & 1) offer(rows, row, this.#best, --right);
    }
  }

  /** The row that answers each question, once all were added; `NO_ROW` in `events` where none does. */
  answers(): RowColumns {
    const { times, starts } = this.#questions;
    const best = this.#best;
    if (!this.#mortal) {
      for (let key = 0; key + 1 < starts.length; key++) {
        const end = starts[key + 1] as number;
        for (let at = (starts[key] as number) + 1; at < end; at++) offer(best, at - 1, best, at);
      }
      return best;
    }
    for (let node = 2; node < best.events.length; node++) offer(best, node >> 1, best, node);
    const { length } = times;
    const leaves = <T extends BigInt64Array | Numbers>(all: T) => all.subarray(length) as T;
    return { events: leaves(best.events), knowns: leaves(best.knowns), values: best.values.map(leaves) };
  }
}

/** The first of `times` in [low, high) that is not before `bounds[row]`; high where there is none. */
function firstFrom(times: BigInt64Array, low: number, high: number, bounds: BigInt64Array, row: number): number {
  const bound = bounds[row] as bigint;
  let [from, to] = [low, high];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((times[middle] as bigint) < bound) from = middle + 1;
    else to = middle;
  }
  return from;
}

function offer(from: RowColumns, i: number, to: RowColumns, j: number): void {
  if (!isNewer(from, i, to, j)) return;
  to.events[j] = from.events[i] as bigint;
  to.knowns[j] = from.knowns[i] as bigint;
  for (let c = 0; c < to.values.length; c++) (to.values[c] as Numbers)[j] = (from.values[c] as Numbers)[i] as number;
}

function isNewer(a: RowColumns, i: number, b: RowColumns, j: number): boolean {
  if (a.events[i] !== b.events[j]) return (a.events[i] as bigint) > (b.events[j] as bigint);
  if (a.knowns[i] !== b.knowns[j]) return (a.knowns[i] as bigint) > (b.knowns[j] as bigint);
  for (let c = 0; c < b.values.length; c++) {
    const [x, y] = [(a.values[c] as Numbers)[i] as number, (b.values[c] as Numbers)[j] as number];
    if (Object.is(x, y)) continue;
    // 0 is above -0: what answers must not depend on which came first.
    return x === y ? Object.is(y, -0) : Number.isNaN(x) || x > y;
  }
  return false;
}
