/** Feature value as it is served: float32 as a number, a category as text, null = missing. */
export type OnlineValue = number | string | null;

/** What is stored: values, and bytes that only the reader understands. */
export type StoredValue = OnlineValue | Uint8Array;

/**
 * One entity's values in one view. Times are microseconds since 1970 UTC; -Infinity where there is no event time or the
 * row was known always.
 */
export interface OnlineRow {
  key: string;
  values: StoredValue[];
  eventAtUs: number;
  knownAtUs: number;
}

/**
 * Online store: the newest values of each entity and view, packed under one key, for look-ups at serving time. What expires
 * is judged by who reads, from the event time. Several processes may write: see `isNewer`.
 */
export interface OnlineStore {
  /** `lmdb:` or `redis:` address, for people. */
  readonly address: string;
  /** Writes each row unless a newer one of its entity is there; each row whole or not at all. @returns how many were written */
  put(view: string, rows: readonly OnlineRow[]): Promise<number>;
  /** In the order of `keys`; undefined where the entity is unknown. */
  get(view: string, keys: readonly string[]): Promise<(OnlineRow | undefined)[]>;
  close(): Promise<void>;
}

/**
 * Whether `row` replaces `stored`: a newer event wins, then the one known later; equal times replace, so that a repeated
 * write mends. A late write therefore never wins over a newer row, whatever the order of writers.
 */
export function isNewer(
  row: Pick<OnlineRow, 'eventAtUs' | 'knownAtUs'>,
  stored: Pick<OnlineRow, 'eventAtUs' | 'knownAtUs'> | undefined,
): boolean {
  if (!stored || row.eventAtUs > stored.eventAtUs) return true;
  return row.eventAtUs === stored.eventAtUs && row.knownAtUs >= stored.knownAtUs;
}
