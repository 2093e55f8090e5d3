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

/** Rows in order of event time; of equal times, in the order they entered. Times are microseconds since 1970. */
export class WindowRows {
  readonly #options: WindowRowsOptions;
  readonly #indexes: (Index | undefined)[];
  #events: number[] = [];
  #known: number[] = [];
  /** By measure, beside `#events`. */
  #values: AggregateValue[][];
  /** Rows before this have grown too old. */
  #head = 0;

  constructor(options: WindowRowsOptions) {
    this.#options = options;
    this.#values = options.measures.map(() => []);
    // The newest n are few enough to be looked through.
    this.#indexes = options.measures.map(({ fn }) => (options.last === undefined ? indexOf(fn) : undefined));
  }

  enter(event: number, known: number, values: readonly AggregateValue[]): void {
    let at = this.#events.length;
    while (at > this.#head && (this.#events[at - 1] as number) > event) at -= 1;
    insert(this.#events, at, event);
    insert(this.#known, at, known);
    for (const [i, own] of this.#values.entries()) {
      const value = values[i] ?? null;
      insert(own, at, value);
      if (value !== null) this.#indexes[i]?.add(value);
    }
    this.#forget();
  }

  /** A row that entered with these very times and values is gone. */
  leave(event: number, known: number, values: readonly AggregateValue[]): void {
    for (let at = this.#events.length - 1; at >= this.#head && (this.#events[at] as number) >= event; at--) {
      const same = this.#events[at] === event && this.#known[at] === known;
      if (!same || !this.#values.every((own, i) => own[at] === (values[i] ?? null))) continue;
      this.#drop(at);
      this.#events.splice(at, 1);
      this.#known.splice(at, 1);
      for (const own of this.#values) own.splice(at, 1);
      return;
    }
  }

  /** The measures at a time; times must not go back. */
  ask(time: number): AggregateValue[] {
    const { overUs, measures, last } = this.#options;
    while (this.#head < this.#events.length && (this.#events[this.#head] as number) + overUs <= time) {
      this.#drop(this.#head);
      this.#head += 1;
    }
    return measures.map((measure, i) => {
      const own = this.#values[i] as AggregateValue[];
      const index = this.#indexes[i];
      if (index) return index.result(measure);
      if (last === undefined)
        return measure.fn === 'last' ? newest(own, this.#head) : aggregateValues(measure, own.slice(this.#head));
      return aggregateValues(measure, own.slice(Math.max(this.#head, own.length - last)));
    });
  }

  #drop(at: number): void {
    for (const [i, index] of this.#indexes.entries()) {
      const value = this.#values[i]?.[at] ?? null;
      if (value !== null) index?.remove(value);
    }
  }

  /** Gives back the memory of rows that can never count again. */
  #forget(): void {
    const { last, mortal } = this.#options;
    // Where nothing leaves, n newer rows are enough to be out for good.
    const out = last === undefined || mortal ? this.#head : Math.max(this.#head, this.#events.length - last);
    if (out < 1024 || out * 2 < this.#events.length) return;
    this.#events = this.#events.slice(out);
    this.#known = this.#known.slice(out);
    this.#values = this.#values.map((own) => own.slice(out));
    this.#head = Math.max(0, this.#head - out);
  }
}

function newest(values: readonly AggregateValue[], from: number): AggregateValue {
  for (let at = values.length - 1; at >= from; at--) {
    if (values[at] !== null) return aggregateValues({ fn: 'last' }, [values[at] as AggregateValue]);
  }
  return null;
}

function insert<T>(list: T[], at: number, value: T): void {
  if (at === list.length) list.push(value);
  else list.splice(at, 0, value);
}

/** What is kept so that an aggregate need not look through all rows. */
interface Index {
  add(value: number | string): void;
  remove(value: number | string): void;
  result(of: Pick<Aggregate, 'fn' | 'q'>): AggregateValue;
}

function indexOf(fn: Aggregate['fn']): Index | undefined {
  if (fn === 'distinct') return distinctIndex();
  return fn === 'min' || fn === 'max' || fn === 'quantile' ? orderIndex() : undefined;
}

function orderIndex(): Index {
  const list = new SortedList();
  return {
    add: (value) => list.add(value as number),
    remove: (value) => list.remove(value as number),
    result({ fn, q = 0.5 }) {
      if (list.size === 0) return null;
      return interpolated(list.size, fn === 'min' ? 0 : fn === 'max' ? 1 : q, (rank) => list.at(rank));
    },
  };
}

function distinctIndex(): Index {
  const counts = new Map<number | string, number>();
  return {
    add: (value) => void counts.set(value, (counts.get(value) ?? 0) + 1),
    remove(value) {
      const left = (counts.get(value) ?? 0) - 1;
      if (left > 0) counts.set(value, left);
      else counts.delete(value);
    },
    result: () => counts.size,
  };
}
