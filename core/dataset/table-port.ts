import type { TableSpec } from '../spec/pipeline.ts';

/** What a database has to give so that its tables can be sources. */

/** A stretch of a table: `[from, to)` of its `by` column, in the words of the database; both null for rows without a time. */
export interface TablePeriod {
  /** ISO, naive: when it begins. Undefined: the whole table; null: rows whose time is NULL. */
  start: string | null | undefined;
  rows: number;
  /** Highest version, as text. */
  version: string | null;
}

/** A table as it is at one moment: whatever others write meanwhile, periods and copies fit together. */
export interface OpenTable {
  periods(): Promise<TablePeriod[]>;
  /** Writes the rows of a period as Parquet, in an order that depends on nothing but them. */
  copy(period: TablePeriod, file: string): Promise<void>;
}

/** Opens a table, hands it to `use`, and closes it whatever happens. */
export type WithTable = <T>(context: TableContext, use: (table: OpenTable) => Promise<T>) => Promise<T>;

export interface TableContext {
  root: string;
  source: string;
  path: string;
  table: TableSpec;
  env: NodeJS.ProcessEnv;
  /** Folder for drafts; exists. */
  scratch: string;
  signal?: AbortSignal | undefined;
}

/** Words that date_trunc and intervals know. */
export const UNITS: Record<string, string> = { '1y': 'year', '1mo': 'month', '1w': 'week', '1d': 'day', '1h': 'hour' };

/** `shop.orders` → `"shop"."orders"` */
export function qualified(name: string): string {
  return name
    .split('.')
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.');
}
