/** Features of entities from the online store: the spine row by its key, from there the keys of the other views. */
import type { FeatureInfo } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import { calendarValues } from './calendar.ts';
import { derivedValues } from './derive.ts';
import { columnOf, type FeatureColumn, setValue, valueAt } from './feature-column.ts';
import { answerer } from './online-answer.ts';
import { entityKey, LAYOUTS, type OnlineLayout, type OnlineLookup } from './online-layout.ts';
import { unpackRow, ValueReader } from './online-row-bytes.ts';
import type { OnlineStore, OnlineValue } from './online-store.ts';

/** Features of some entities, by column. */
export interface FeatureColumns {
  /** Date as of which the values were materialised, ISO UTC. */
  asOf: string;
  features: FeatureInfo[];
  /** By entity: false where no spine row of that key was materialised; then every feature is missing. */
  found: boolean[];
  /** By feature, values by entity: numbers (NaN = missing) or texts (null = missing). */
  columns: FeatureColumn[];
}

export interface FeatureReader {
  /**
   * Reads the features of entities, e.g. `[{ flight_id: 'AA-1-JFK-20140101' }]`, at a time (ISO UTC) that may depend on what the
   * features were brought to; undefined when nothing was materialised.
   * @throws RefitError REFIT_USAGE when a key column is not given, REFIT_ONLINE_STALE
   */
  read(keys: readonly Record<string, unknown>[], at: (asOf: string) => string): Promise<FeatureColumns | undefined>;
}

/** A layout as it lies in the store, and read once; where it has not changed since, the entities were asked for with it. */
interface Known {
  bytes: Buffer;
  layout: OnlineLayout;
  /** Feature → its column. */
  places: ReadonlyMap<string, number>;
}

/** Reads one namespace many times. Two ways to the store and back: layout and entities together, then all views. */
export function createFeatureReader(store: OnlineStore, namespace: string): FeatureReader {
  let known: Known | undefined;

  /** The layout, and the rows of entities by it. */
  async function entitiesOf(
    keys: readonly Record<string, unknown>[],
  ): Promise<{ layout: Known; table: EntityTable } | undefined> {
    for (;;) {
      const before = known;
      const table = before && createEntityTable(before, keys);
      let now: Known | undefined;
      await Promise.all([
        store.scan(LAYOUTS, [namespace], (bytes) => {
          now = before && sameBytes(before.bytes, bytes) ? before : parseLayout(namespace, bytes);
        }),
        table && store.scan(table.id, table.keys, table.read),
      ]);
      if (!now) return undefined;
      known = now;
      if (table && now === before) return { layout: now, table };
    }
  }

  return {
    async read(keys, at) {
      const found = await entitiesOf(keys);
      if (!found) return undefined;
      const { layout, places } = found.layout;
      const { columns, wanted, found: there } = found.table;
      const time = at(layout.asOf);
      await Promise.all(
        layout.lookups.map((lookup, i) => {
          const own = lookup.features.map(({ name }) => columns[places.get(name) as number] as FeatureColumn);
          return lookUp(store, lookup, { wanted: wanted[i] as (string | null)[], there, columns: own, at: time });
        }),
      );
      computeViews(found.layout, columns, there, time);
      return { asOf: layout.asOf, features: layout.features, found: there, columns };
    },
  };
}

/** LMDB's bytes are longer than what they hold. */
const sameBytes = (known: Buffer, bytes: Buffer) =>
  known.length === bytes.length && known.compare(bytes, 0, bytes.length) === 0;

function parseLayout(namespace: string, bytes: Buffer): Known {
  const own = Buffer.from(bytes.subarray(0, bytes.length));
  const layout = JSON.parse(String(unpackRow(namespace, own).values[0])) as OnlineLayout;
  return { bytes: own, layout, places: new Map(layout.features.map(({ name }, i) => [name, i])) };
}

interface EntityTable {
  id: string;
  keys: string[];
  read(bytes: Buffer, place: number): void;
  found: boolean[];
  columns: FeatureColumn[];
  /** By look-up: the key that each entity is looked up by; null = none. */
  wanted: (string | null)[][];
}

/** Where the features of entities go, all missing to begin with. */
function createEntityTable({ layout, places }: Known, asked: readonly Record<string, unknown>[]): EntityTable {
  const keys = asked.map((key) => spineKey(layout.key, key));
  const columns = layout.features.map(({ kind }) => columnOf(kind, null, keys.length));
  const found = keys.map(() => false);
  const wanted = layout.lookups.map(() => keys.map((): string | null => null));
  const own = layout.entity.features.map(({ name }) => columns[places.get(name) as number] as FeatureColumn);
  return {
    ...{ id: layout.entity.id, keys, found, columns, wanted },
    read(bytes, place) {
      const values = new ValueReader(bytes, keys[place] as string);
      for (const column of own) setValue(column, place, values.next() as OnlineValue);
      for (const list of wanted) list[place] = values.next() as string | null;
      found[place] = true;
    },
  };
}

interface LookUp {
  wanted: readonly (string | null)[];
  there: readonly boolean[];
  /** By feature of the look-up. */
  columns: FeatureColumn[];
  at: string;
}

/** Fills in the features of a look-up. Many entities share a key (all flights of an airport): each is fetched and computed once. */
async function lookUp(store: OnlineStore, lookup: OnlineLookup, { wanted, there, columns, at }: LookUp): Promise<void> {
  const places = new Map<string, number>();
  const copies: number[] = [];
  for (let place = 0; place < wanted.length; place++) {
    if (!there[place]) continue;
    for (let i = 0; i < columns.length; i++) setValue(columns[i] as FeatureColumn, place, lookup.absent[i] ?? null);
    const key = wanted[place] as string | null;
    if (key === null) continue;
    if (places.has(key)) copies.push(place);
    else places.set(key, place);
  }
  const keys = [...places.keys()];
  const firsts = [...places.values()];
  const answer = answerer(lookup, at);
  await store.scan(lookup.id, keys, (bytes, i) => {
    answer.fill(bytes, keys[i] as string, columns, firsts[i] as number);
  });
  for (const place of copies) {
    const first = places.get(wanted[place] as string) as number;
    for (const column of columns) column[place] = column[first] as never;
  }
}

/** Views that are made of the time, which is the same for all, or of features before them. */
function computeViews(
  { layout, places }: Known,
  columns: FeatureColumn[],
  there: readonly boolean[],
  at: string,
): void {
  const column = (name: string) => columns[places.get(name) as number] as FeatureColumn;
  for (const view of layout.computed) {
    const of = view.kind === 'derived' ? [...new Set(view.fields.flatMap((field) => field.of))] : [];
    const sources = of.flatMap((name) => (places.has(name) ? [[name, column(name)] as const] : []));
    let values = view.kind === 'calendar' ? computedValues(view, {}, at) : undefined;
    for (let place = 0; place < there.length; place++) {
      if (!there[place]) continue;
      if (view.kind === 'derived') {
        const before = Object.fromEntries(sources.map(([name, own]) => [name, valueAt(own, place)]));
        values = computedValues(view, before, at);
      }
      for (const [name, value] of Object.entries(values ?? {})) setValue(column(name), place, value);
    }
  }
}

/** What is made of the time, or of features before it. */
export function computedValues(
  view: OnlineLayout['computed'][number],
  before: Readonly<Record<string, OnlineValue>>,
  at: string,
): Record<string, OnlineValue> {
  return view.kind === 'calendar' ? calendarValues(view, Date.parse(at)) : derivedValues(view, before);
}

function spineKey(columns: string[], key: Record<string, unknown>): string {
  const parts = columns.map((column) => {
    const value = key[column];
    if (value === undefined || value === null) {
      throw new RefitError('REFIT_USAGE', `The key has no "${column}"; an entity is named by ${columns.join(', ')}.`, {
        key,
        columns,
      });
    }
    return String(value);
  });
  return entityKey(parts) as string;
}

export interface FeatureVector {
  /** False where no spine row of that key was materialised: then every feature is missing. */
  found: boolean;
  /** By feature name. */
  values: Record<string, OnlineValue>;
}

export interface OnlineFeatures {
  /** Date as of which the values were materialised, ISO UTC. */
  asOf: string;
  features: FeatureInfo[];
  /** In the order of the keys. */
  vectors: FeatureVector[];
}

/**
 * Reads the features of some entities once, entity by entity.
 * @throws RefitError REFIT_USAGE when nothing was materialised in the namespace, or a key column is not given; REFIT_ONLINE_STALE
 */
export async function readFeatures(
  store: OnlineStore,
  namespace: string,
  keys: readonly Record<string, unknown>[],
  at: string,
): Promise<OnlineFeatures> {
  const read = await createFeatureReader(store, namespace).read(keys, () => at);
  if (!read) {
    throw new RefitError(
      'REFIT_USAGE',
      `The online store has no features of ${namespace}: they are written by a run of the pipeline.`,
      { namespace, store: store.address },
    );
  }
  const { asOf, features, found, columns } = read;
  const vectors = found.map((there, place): FeatureVector => {
    const values = features.map(({ name }, i) => [name, valueAt(columns[i] as FeatureColumn, place)] as const);
    return { found: there, values: Object.fromEntries(values) };
  });
  return { asOf, features, vectors };
}
