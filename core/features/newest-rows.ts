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
 *
 * Rows name keys in any order, so that nearly every look at a question would be at memory that is far away; waiting for it was
 * three quarters of the work. Hence rows are gathered by blocks of keys, and offered a block at a time: its questions are few
 * enough to stay near the processor (radix partitioning, as of Boncz, Manegold and Kersten, VLDB 1999).
 */

export type Numbers = Float32Array | Float64Array;

/** What tells which of two rows is the newer: event, then known, then values one by one, NaN (missing) being the greatest. */
export interface EnteringRows {
  /** Key of each row. */
  keys: Uint32Array;
  events: BigInt64Array;
  knowns: BigInt64Array;
  values: Numbers[];
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

/** A record is what tells which row is newer: event, known, then the values. That of a row goes on with key, gone. */
const [EVENT, KNOWN, VALUES] = [0, 1, 2];
const [KEY, GONE] = [0, 1];

/** About so many questions have room in what a processor has near. */
const BLOCK_QUESTIONS = 4096;
/** More rows of a block than this gain nothing. */
const BLOCK_ROWS = 16_384;

export class NewestRows {
  readonly #questions: Questions;
  readonly #mortal: boolean;
  /** Lengths in words of 64 bits: of a record, and of that of a row. */
  readonly #width: number;
  readonly #rowWidth: number;
  /** One memory, as times and as numbers: records of all questions (or nodes), then those of the rows of each block. */
  readonly #times: BigInt64Array;
  readonly #numbers: Float64Array;
  /** And as halves of 32 bits: low ones at even places, high ones at odd. */
  readonly #lows: Uint32Array;
  readonly #highs: Int32Array;
  /** Where the rows of the first block begin, how many a block has room for, and has. */
  readonly #rowsAt: number;
  readonly #room: number;
  readonly #rows: Uint32Array;
  /** Keys of a block, as a power of two. */
  readonly #shift: number;

  /** `values`: how many a row has. `bytes`: what rows that wait may take. */
  constructor(questions: Questions, values: number, mortal: boolean, bytes: number) {
    const [count, keys] = [questions.times.length, questions.starts.length - 1];
    this.#questions = questions;
    this.#mortal = mortal;
    this.#width = VALUES + values;
    this.#rowWidth = this.#width + (mortal ? GONE : KEY) + 1;
    this.#shift = Math.max(0, Math.floor(Math.log2((BLOCK_QUESTIONS * keys) / Math.max(1, count))));
    this.#rows = new Uint32Array((keys >>> this.#shift) + 1);
    const room = Math.floor(bytes / (this.#rows.length * this.#rowWidth * 8));
    this.#room = Math.min(BLOCK_ROWS, Math.max(1, room));
    this.#rowsAt = count * (mortal ? 2 : 1) * this.#width;
    this.#times = new BigInt64Array(this.#rowsAt + this.#rows.length * this.#room * this.#rowWidth);
    this.#numbers = new Float64Array(this.#times.buffer);
    this.#lows = new Uint32Array(this.#times.buffer);
    this.#highs = new Int32Array(this.#times.buffer);
    for (let at = EVENT; at < this.#rowsAt; at += this.#width) this.#times[at] = NO_ROW;
  }

  /** Bytes that a question takes here. */
  static bytes(values: number, mortal: boolean): number {
    return (VALUES + values) * 8 * (mortal ? 2 : 1);
  }

  add({ keys, events, knowns, gone, values }: EnteringRows): void {
    const times = this.#times;
    const numbers = this.#numbers;
    for (let row = 0; row < keys.length; row++) {
      const key = (keys[row] as number) - this.#questions.firstKey;
      const block = key >>> this.#shift;
      const nth = this.#rows[block] as number;
      const at = this.#rowsAt + (block * this.#room + nth) * this.#rowWidth;
      times[at + EVENT] = events[row] as bigint;
      times[at + KNOWN] = knowns[row] as bigint;
      for (let c = 0; c < values.length; c++) numbers[at + VALUES + c] = (values[c] as Numbers)[row] as number;
      const end = at + this.#width;
      numbers[end + KEY] = key;
      if (gone) times[end + GONE] = gone[row] as bigint;
      this.#rows[block] = nth + 1;
      if (nth + 1 === this.#room) this.#offerBlock(block);
    }
  }

  #offerBlock(block: number): void {
    const { times, starts } = this.#questions;
    const first = this.#rowsAt + block * this.#room * this.#rowWidth;
    const last = first + (this.#rows[block] as number) * this.#rowWidth;
    for (let row = first; row < last; row += this.#rowWidth) {
      const key = this.#numbers[row + this.#width + KEY] as number;
      const end = starts[key + 1] as number;
      const happened = (this.#times[row + EVENT] as bigint) >= (this.#times[row + KNOWN] as bigint);
      const from = firstFrom(times, starts[key] as number, end, this.#times, row + (happened ? EVENT : KNOWN));
      if (from === end) continue;
      if (!this.#mortal) this.#offer(row, from * this.#width);
      else this.#cover(row, from, firstFrom(times, from, end, this.#times, row + this.#width + GONE));
    }
    this.#rows[block] = 0;
  }

  #cover(row: number, from: number, to: number): void {
    const leaves = this.#questions.times.length;
    for (let left = from + leaves, right = to + leaves; left < right; left >>= 1, right >>= 1) {
      if (left & 1) this.#offer(row, left++ * this.#width);
      if (right & 1) this.#offer(row, --right * this.#width);
    }
  }

  #offer(from: number, to: number): void {
    if (!this.#isNewer(from, to)) return;
    const times = this.#times;
    const numbers = this.#numbers;
    times[to + EVENT] = times[from + EVENT] as bigint;
    times[to + KNOWN] = times[from + KNOWN] as bigint;
    for (let c = VALUES; c < this.#width; c++) numbers[to + c] = numbers[from + c] as number;
  }

  #isNewer(a: number, b: number): boolean {
    const numbers = this.#numbers;
    const time = this.#compareTimes(a + EVENT, b + EVENT) || this.#compareTimes(a + KNOWN, b + KNOWN);
    if (time !== 0) return time > 0;
    for (let c = VALUES; c < this.#width; c++) {
      const x = numbers[a + c] as number;
      const y = numbers[b + c] as number;
      if (Object.is(x, y)) continue;
      // 0 is above -0: what answers must not depend on which came first.
      return x === y ? Object.is(y, -0) : Number.isNaN(x) || x > y;
    }
    return false;
  }

  /** By halves: V8 makes objects of bigints to compare them where one is `NO_ROW`, which was half of the work of the collector. */
  #compareTimes(a: number, b: number): number {
    const high = (this.#highs[a * 2 + 1] as number) - (this.#highs[b * 2 + 1] as number);
    return high === 0 ? (this.#lows[a * 2] as number) - (this.#lows[b * 2] as number) : high;
  }

  /** Once all rows were added: hands what each question has on to those that may have it too. */
  finish(): void {
    const { times, starts } = this.#questions;
    const width = this.#width;
    for (let block = 0; block < this.#rows.length; block++) this.#offerBlock(block);
    if (this.#mortal) {
      for (let node = 2; node < times.length * 2; node++) this.#offer((node >> 1) * width, node * width);
      return;
    }
    for (let key = 0; key + 1 < starts.length; key++) {
      const end = starts[key + 1] as number;
      for (let at = (starts[key] as number) + 1; at < end; at++) this.#offer((at - 1) * width, at * width);
    }
  }

  /** Event time of the row that answers a question, `NO_ROW` where none does. */
  event(question: number): bigint {
    return this.#times[this.#at(question) + EVENT] as bigint;
  }

  value(question: number, column: number): number {
    return this.#numbers[this.#at(question) + VALUES + column] as number;
  }

  #at(question: number): number {
    return (question + (this.#mortal ? this.#questions.times.length : 0)) * this.#width;
  }
}

/** The first of `times` in [low, high) that is not before `bounds[row]`; high where there is none. */
function firstFrom(times: BigInt64Array, low: number, high: number, bounds: BigInt64Array, row: number): number {
  // Here, not an argument: a bigint that is handed over is an object.
  const bound = bounds[row] as bigint;
  let [from, to] = [low, high];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((times[middle] as bigint) < bound) from = middle + 1;
    else to = middle;
  }
  return from;
}
