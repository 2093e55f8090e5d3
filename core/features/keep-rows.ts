/** Gathers the rows of one key, oldest first, within the bounds of what is kept. */
import type { AggregateValue } from './aggregate.ts';
import type { KeptColumn, KeptRows } from './kept-rows.ts';
import type { OnlineLookup } from './online-layout.ts';
import { createTotaller, type Tile, type Totaller } from './tile.ts';

/** Rows of one key and view that are kept one by one: so many of the past, and as many of those to come. */
export const KEPT_ROWS = 1_000;

export class RowKeeper {
  readonly #lookup: Pick<OnlineLookup, 'read' | 'texts'>;
  readonly #asOfUs: number;
  /** Of the past, one by one; count windows keep what they were told to. */
  readonly #past: number;
  readonly #bound: number;
  #events: number[] = [];
  #knowns: number[] = [];
  #values: AggregateValue[][] = [];
  #coming = 0;
  #untilUs = Number.POSITIVE_INFINITY;
  #tile: { firstUs: number; lastUs: number; knownUs: number; totallers: Totaller[] } | undefined;

  constructor(lookup: Pick<OnlineLookup, 'read' | 'texts'>, asOfUs: number, bound = KEPT_ROWS) {
    this.#bound = bound;
    const { read } = lookup;
    this.#lookup = lookup;
    this.#asOfUs = read.kind === 'latest' ? asOfUs + read.aheadUs : asOfUs;
    const forever = read.kind === 'window' && read.overUs === null;
    // In a window that slides the oldest rows leave first: they are kept one by one, the newer ones as a tile.
    this.#past = read.kind === 'window' && read.last !== null ? Infinity : forever ? 0 : bound;
    this.#values = lookup.texts.map(() => []);
  }

  /** @throws RefitError REFIT_ONLINE_WINDOW_TOO_LARGE */
  add(eventUs: number, knownUs: number, value: (column: number) => AggregateValue): void {
    if (eventUs > this.#asOfUs) {
      if (this.#coming >= this.#bound) this.#untilUs = Math.min(this.#untilUs, eventUs);
      else this.#keep(eventUs, knownUs, value);
      this.#coming += 1;
    } else if (this.#events.length < this.#past) this.#keep(eventUs, knownUs, value);
    else this.#fold(eventUs, knownUs, value);
  }

  #keep(eventUs: number, knownUs: number, value: (column: number) => AggregateValue): void {
    this.#events.push(eventUs);
    this.#knowns.push(knownUs);
    for (const [i, own] of this.#values.entries()) own.push(value(i));
  }

  #fold(eventUs: number, knownUs: number, value: (column: number) => AggregateValue): void {
    const { read } = this.#lookup;
    const measures = read.kind === 'window' ? read.measures : [];
    this.#tile ??= { firstUs: eventUs, lastUs: eventUs, knownUs, totallers: measures.map(createTotaller) };
    this.#tile.lastUs = eventUs;
    this.#tile.knownUs = Math.max(this.#tile.knownUs, knownUs);
    for (const [i, totaller] of this.#tile.totallers.entries()) totaller.add(value(i));
  }

  get isEmpty(): boolean {
    return this.#events.length === 0 && !this.#tile;
  }

  /** Microseconds of the newest row that happened; undefined where there is none. */
  get newestUs(): number | undefined {
    const happened = this.#tile?.lastUs ?? this.#events.findLast((event) => event <= this.#asOfUs);
    return happened !== undefined && Number.isFinite(happened) ? happened : undefined;
  }

  rows(): KeptRows {
    const columns = this.#values.map((own, i): KeptColumn => {
      if (this.#lookup.texts[i]) return own as (string | null)[];
      return numbersOf(own as (number | null)[]);
    });
    const tile: Tile | undefined = this.#tile && {
      firstUs: this.#tile.firstUs,
      lastUs: this.#tile.lastUs,
      knownUs: Math.max(this.#tile.knownUs, Number.MIN_SAFE_INTEGER),
      totals: this.#tile.totallers.map((totaller) => totaller.total()),
    };
    const [eventsUs, knownUs] = [numbersOf(this.#events), numbersOf(this.#knowns)];
    return { eventsUs, knownUs, columns, tile, untilUs: this.#untilUs };
  }
}

/** NaN = missing. A loop, because this is done for every column of every key. */
function numbersOf(values: readonly (number | null)[]): Float64Array {
  const numbers = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) numbers[i] = values[i] ?? Number.NaN;
  return numbers;
}
