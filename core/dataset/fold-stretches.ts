/**
 * When each change of an entity counts, where corrections took changes away: from its own time to its end, but for the stretches
 * in which a change of a higher version counts. The changes of an entity come from the highest version down; what they cover is
 * kept as stretches apart from one another, so that many that end at one instant cost no more than others.
 *
 *   version 2, counts 13:00 to 14:00         covered: [13:00, 14:00)
 *   version 1, counts 12:00 to the end       gives    [12:00, 13:00) and [14:00, the end)
 */
import type { DuckDb } from './duckdb.ts';
import { firstNot } from './first-not.ts';
import { appendNumbers, streamNumbers } from './number-columns.ts';

/** What higher versions cover: begins and ends, in order, none touching the next. */
export class Cover {
  readonly #begins: bigint[] = [];
  readonly #ends: bigint[] = [];

  clear(): void {
    this.#begins.length = 0;
    this.#ends.length = 0;
  }

  /** The stretches of [begin, end) that are not covered. */
  *gaps(begin: bigint, end: bigint): Generator<[bigint, bigint]> {
    let from = begin;
    for (let i = this.#firstNotBefore(begin); from < end; i++) {
      const next = this.#begins[i] ?? end;
      if (next > from) yield [from, next < end ? next : end];
      from = this.#ends[i] ?? end;
    }
  }

  add(begin: bigint, end: bigint): void {
    if (begin >= end) return;
    const first = this.#firstNotBefore(begin);
    let last = first;
    let [low, high] = [begin, end];
    for (; last < this.#begins.length && (this.#begins[last] as bigint) <= end; last++) {
      if ((this.#begins[last] as bigint) < low) low = this.#begins[last] as bigint;
      if ((this.#ends[last] as bigint) > high) high = this.#ends[last] as bigint;
    }
    this.#begins.splice(first, last - first, low);
    this.#ends.splice(first, last - first, high);
  }

  /** The first stretch that does not end before a time. */
  #firstNotBefore(time: bigint): number {
    return firstNot(this.#ends, (end) => end < time);
  }
}

const AT_ONCE = 100_000;
const [HIDES, DELETES] = [1, 2];

/**
 * Makes the table `stretches` (`__row`, `__from`, `__to`) of the changes of `entered` that are `__mixed`: `__counts` to `__end`
 * but for what rows that were taken away, of a higher `__rank` in the entity, cover. Ranks go down to 1.
 */
export async function makeStretches(db: DuckDb, key: readonly string[]): Promise<void> {
  await db.run('CREATE TEMP TABLE stretches (__row BIGINT, __from TIMESTAMP, __to TIMESTAMP)');
  const columns = [0, 1, 2].map(() => new BigInt64Array(AT_ONCE)) as [BigInt64Array, BigInt64Array, BigInt64Array];
  const full: BigInt64Array[][] = [];
  const cover = new Cover();
  let length = 0;
  const put = (row: bigint, from: bigint, to: bigint) => {
    for (const [i, value] of [row, from, to].entries()) (columns[i] as BigInt64Array)[length] = value;
    length += 1;
    if (length < AT_ONCE) return;
    full.push(columns.map((column) => column.slice()));
    length = 0;
  };
  const flag = `((__gone_at < 'infinity')::UINTEGER * ${HIDES} + __deletes::UINTEGER * ${DELETES})::UINTEGER`;
  const sql = `SELECT __row, __counts, __end, __rank, ${flag} FROM entered WHERE __mixed
    ORDER BY ${key.join(', ')}, __rank DESC`;
  await streamNumbers(db, sql, (all, rows) => {
    const [ids, counts, ends, ranks, flags] = all as [
      BigInt64Array,
      BigInt64Array,
      BigInt64Array,
      BigInt64Array,
      Uint32Array,
    ];
    for (let i = 0; i < rows; i++) {
      const [begin, end, is] = [counts[i] as bigint, ends[i] as bigint, flags[i] as number];
      if (!(is & DELETES)) for (const [from, to] of cover.gaps(begin, end)) put(ids[i] as bigint, from, to);
      if (is & HIDES) cover.add(begin, end);
      if (ranks[i] === 1n) cover.clear();
    }
  });
  await appendNumbers(db, 'stretches', [...full, columns.map((column) => column.subarray(0, length))]);
}
