import type { RefitError } from '../spec/errors.ts';

/** Feature value as it is served: float32 as a number, a category as text, null = missing. */
export type OnlineValue = number | string | null;

/** What is stored: values, and bytes that only the reader understands. */
export type StoredValue = OnlineValue | Uint8Array;

/**
 * One entity's values in one view, with the two times that decide which row is newer, in microseconds since 1970 UTC or any other
 * numbers that grow; -Infinity where there is none.
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
  /**
   * Writes each row unless a newer one of its entity is there; each row whole or not at all. `strictly`: nor where one of equal
   * times is, so that of several who write it one does. @returns how many were written
   */
  put(view: string, rows: readonly OnlineRow[], strictly?: 'strictly'): Promise<number>;
  /** In the order of `keys`; undefined where the entity is unknown. */
  get(view: string, keys: readonly string[]): Promise<(OnlineRow | undefined)[]>;
  /**
   * For many reads a second: hands over the bytes of each row that is there, as online-row-bytes.ts packs them, with its place in
   * `keys`. They are good during the call only.
   */
  scan(view: string, keys: readonly string[], use: (bytes: Buffer, place: number) => void): Promise<void>;
  /** Names of the views that have rows and begin with a prefix, in no order. */
  views(prefix: string): Promise<string[]>;
  /** Removes a view with all its rows, without holding others up for long; safe to repeat. */
  clear(view: string): Promise<void>;
  /** What of its set-up loses features, for people to mend; undefined where nothing does, or the store does not tell. */
  hazard(): Promise<RefitError | undefined>;
  close(): Promise<void>;
}

type Times = Pick<OnlineRow, 'eventAtUs' | 'knownAtUs'>;

/**
 * Whether `row` replaces `stored`: a newer event wins, then the one known later; equal times replace unless `strictly`, so that
 * a repeated write mends. A late write therefore never wins over a newer row, whatever the order of writers.
 */
export function isNewer(row: Times, stored: Times | undefined, strictly?: 'strictly'): boolean {
  if (!stored || row.eventAtUs > stored.eventAtUs) return true;
  if (row.eventAtUs < stored.eventAtUs) return false;
  return strictly ? row.knownAtUs > stored.knownAtUs : row.knownAtUs >= stored.knownAtUs;
}
