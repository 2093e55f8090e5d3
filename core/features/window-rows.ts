/** The rows of one key that are in a window, while time passes: they enter, grow old, leave, and are asked about. */
import type { Aggregate } from '../spec/pipeline.ts';
import { type AggregateValue, aggregateValues, interpolated } from './aggregate.ts';
import { SortedList } from './sorted-list.ts';

export interface WindowRowsOptions {
  measures: Pick<Aggregate, 'fn' | 'q'>[];
  /** Length of the window in microseconds; Infinity = all history. */
  overUs: number;
  /** Only the newest so many rows. */
  last: number | undefined;
  /** Rows may leave before their time (they were deleted or replaced): then older ones count again. */
  mortal: boolean;
}

interface Row {
  id: number;
  /** Microseconds since 1970. */
  event: number;
  /** How many had entered before. */
  turn: number;
  /** By measure. */
  values: readonly AggregateValue[];
}

/** In order of event time; of equal times, in the order they entered. */
const oldestFirst = (a: Row, b: Row) => a.event - b.event || a.turn - b.turn;

/** Nothing here looks through the rows of a key: many at one instant, late or deleted at once cost no more than others. */
export class WindowRows {
  readonly #options: WindowRowsOptions;
  readonly #indexes: (Index | undefined)[];
  readonly #rows = new SortedList<Row>(oldestFirst);
  /** By id, where rows are mortal. */
  readonly #mortal = new Map<number, Row>();
  #turn = 0;

  constructor(options: WindowRowsOptions) {
    this.#options = options;
    // The newest n are few enough to be looked through.
    this.#indexes = options.measures.map(({ fn }, i) => (options.last === undefined ? indexOf(fn, i) : undefined));
  }

  /** `id`: by which the row leaves. */
  enter(id: number, event: number, values: readonly AggregateValue[]): void {
    const { last, mortal } = this.#options;
    const row = { id, event, turn: this.#turn++, values };
    this.#rows.add(row);
    for (const [i, index] of this.#indexes.entries()) index?.add(row, values[i] ?? null);
    if (mortal) this.#mortal.set(id, row);
    // Where nothing leaves, n newer rows are enough to be out for good.
    else if (last !== undefined && this.#rows.size > last) this.#drop(this.#rows.at(0) as Row);
  }

  /** A row that entered is gone; nothing happens where it has grown too old before. */
  leave(id: number): void {
    const row = this.#mortal.get(id);
    if (row) this.#drop(row);
  }

  /** The measures at a time; times must not go back. */
  ask(time: number): AggregateValue[] {
    const { overUs, measures, last = Number.POSITIVE_INFINITY } = this.#options;
    for (let row = this.#rows.at(0); row && row.event + overUs <= time; row = this.#rows.at(0)) this.#drop(row);
    const rows = this.#indexes.every(Boolean) ? [] : this.#rows.greatest(last);
    return measures.map((measure, i) => {
      const index = this.#indexes[i];
      if (index) return index.result(measure);
      return aggregateValues(
        measure,
        rows.map(({ values }) => values[i] ?? null),
      );
    });
  }

  #drop(row: Row): void {
    this.#rows.remove(row);
    this.#mortal.delete(row.id);
    for (const [i, index] of this.#indexes.entries()) index?.remove(row, row.values[i] ?? null);
  }
}

/** What is kept of a measure's values so that an aggregate need not look through all rows; missing ones say nothing. */
interface Index {
  add(row: Row, value: AggregateValue): unknown;
  remove(row: Row, value: AggregateValue): unknown;
  result(of: Pick<Aggregate, 'fn' | 'q'>): AggregateValue;
}

function indexOf(fn: Aggregate['fn'], measure: number): Index | undefined {
  if (fn === 'distinct') return distinctIndex();
  if (fn === 'last') return lastIndex(measure);
  return fn === 'min' || fn === 'max' || fn === 'quantile' ? orderIndex() : undefined;
}

function orderIndex(): Index {
  const list = new SortedList<number>((a, b) => a - b);
  return {
    add: (_row, value) => value !== null && list.add(value as number),
    remove: (_row, value) => value !== null && list.remove(value as number),
    result({ fn, q = 0.5 }) {
      if (list.size === 0) return null;
      return interpolated(list.size, fn === 'min' ? 0 : fn === 'max' ? 1 : q, (rank) => list.at(rank) as number);
    },
  };
}

function lastIndex(measure: number): Index {
  const list = new SortedList<Row>(oldestFirst);
  return {
    add: (row, value) => value !== null && list.add(row),
    remove: (row, value) => value !== null && list.remove(row),
    result: (of) => aggregateValues(of, [list.at(list.size - 1)?.values[measure] ?? null]),
  };
}

function distinctIndex(): Index {
  const counts = new Map<AggregateValue, number>();
  return {
    add: (_row, value) => value !== null && counts.set(value, (counts.get(value) ?? 0) + 1),
    remove(_row, value) {
      const left = (counts.get(value) ?? 0) - 1;
      if (left > 0) counts.set(value, left);
      else counts.delete(value);
    },
    result: () => counts.size,
  };
}
