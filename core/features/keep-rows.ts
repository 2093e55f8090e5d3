/** Gathers the rows of one key, oldest first, within the bounds of what is kept. */
import type { AggregateValue } from './aggregate.ts';
import { packKept } from './kept-rows.ts';
import type { OnlineLookup } from './online-layout.ts';
import type { StoredValue } from './online-store.ts';
import { createTotaller, type Totaller } from './tile.ts';

/** Rows of a key and view that are kept one by one: so many of the past, and as many of those to come. */
export const KEPT_ROWS = 1_000;

type Lookup = Pick<OnlineLookup, 'read' | 'texts'>;

/** One keeper serves one key after another: `begin` forgets the one before. */
export class RowKeeper {
  readonly #lookup: Lookup;
  readonly #asOfUs: number;
  /** Of the past, one by one; count windows keep what they were told to. */
  readonly #past: number;
  readonly #bound: number;
  /** Event time, known time and numbers (NaN = missing) of a row, row after row. */
  #numbers = new Float64Array(64);
  readonly #width: number;
  /** By column of texts. */
  #texts: (string | null)[][] = [];
  #rows = 0;
  #coming = 0;
  #untilUs = Number.POSITIVE_INFINITY;
  #tile: { firstUs: number; lastUs: number; knownUs: number; totallers: Totaller[] } | undefined;

  constructor(lookup: Lookup, asOfUs: number, bound = KEPT_ROWS) {
    this.#bound = bound;
    const { read } = lookup;
    this.#lookup = lookup;
    this.#asOfUs = read.kind === 'latest' ? asOfUs + read.aheadUs : asOfUs;
    const forever = read.kind === 'window' && read.overUs === null;
    // In a window that slides the oldest rows leave first: they are kept one by one, the newer ones as a tile.
    this.#past = read.kind === 'window' && read.last !== null ? Infinity : forever ? 0 : bound;
    this.#width = 2 + lookup.texts.filter((text) => !text).length;
    this.begin();
  }

  begin(): void {
    this.#rows = 0;
    this.#coming = 0;
    this.#untilUs = Number.POSITIVE_INFINITY;
    this.#tile = undefined;
    if (this.#width < 2 + this.#lookup.texts.length)
      this.#texts = this.#lookup.texts.flatMap((text) => (text ? [[]] : []));
  }

  /** @throws RefitError REFIT_ONLINE_WINDOW_TOO_LARGE */
  add(eventUs: number, knownUs: number, value: (column: number) => AggregateValue): void {
    if (eventUs > this.#asOfUs) {
      if (this.#coming >= this.#bound) this.#untilUs = Math.min(this.#untilUs, eventUs);
      else this.#keep(eventUs, knownUs, value);
      this.#coming += 1;
    } else if (this.#rows < this.#past) this.#keep(eventUs, knownUs, value);
    else this.#fold(eventUs, knownUs, value);
  }

  #keep(eventUs: number, knownUs: number, value: (column: number) => AggregateValue): void {
    let at = this.#rows * this.#width;
    if (at + this.#width > this.#numbers.length) {
      const grown = new Float64Array(2 * this.#numbers.length + this.#width);
      grown.set(this.#numbers);
      this.#numbers = grown;
    }
    this.#numbers[at++] = eventUs;
    this.#numbers[at++] = knownUs;
    const { texts } = this.#lookup;
    let text = 0;
    for (let i = 0; i < texts.length; i++) {
      const own = value(i);
      if (texts[i]) this.#texts[text++]?.push(own as string | null);
      else this.#numbers[at++] = own === null ? Number.NaN : (own as number);
    }
    this.#rows += 1;
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
    return this.#rows === 0 && !this.#tile;
  }

  /** As the store takes them. */
  packed(): StoredValue[] {
    const [rows, width] = [this.#rows, this.#width];
    const byColumn = new Float64Array(rows * width);
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < width; i++) byColumn[i * rows + row] = this.#numbers[row * width + i] as number;
    }
    const tile = this.#tile && {
      firstUs: this.#tile.firstUs,
      lastUs: this.#tile.lastUs,
      knownUs: Math.max(this.#tile.knownUs, Number.MIN_SAFE_INTEGER),
      totals: this.#tile.totallers.map((totaller) => totaller.total()),
    };
    return packKept({ numbers: byColumn, texts: this.#texts, tile, untilUs: this.#untilUs });
  }
}
