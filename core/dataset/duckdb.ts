import type { DuckDBConnection, DuckDBDataChunk } from '@duckdb/node-api';
import { RefitError } from '../spec/errors.ts';

/** How much of the machine a query may take. */
export interface DuckDbOptions {
  /** Folder that DuckDB may spill to. */
  scratch: string;
  /** Interrupts the running query. */
  signal?: AbortSignal | undefined;
  threads?: number;
  /** e.g. '2GB'; what REFIT_MEMORY says unless given. What needs more spills to `scratch`. */
  memory?: string;
}

/** Each thread holds rows of its own, which no other query or writer gets: with less memory one thread comes further. */
const LEAST_FOR_TWO = 500e6;

/** One in-memory DuckDB with UTC as its zone. */
export interface DuckDb {
  run(sql: string): Promise<void>;
  /** Row objects; for small results only (46 s for 3M × 20, against 1 s by column). */
  rows<Row extends Record<string, unknown>>(sql: string): Promise<Row[]>;
  /** The result of a query as it comes, never in memory as a whole; fails where the query fails on its way. */
  chunks(sql: string): AsyncGenerator<DuckDBDataChunk>;
  readonly connection: DuckDBConnection;
  /** What it may hold before it spills; who holds rows beside it keeps in proportion. */
  readonly memoryBytes: number;
  /** Another connection to the same database, to be closed by who asked for it; temporary tables are not shared. */
  fork(): Promise<DuckDBConnection>;
}

/** Opens a database, hands it to `use`, and closes it whatever happens. @throws RefitError, DuckDB's own errors */
export async function withDuckDb<T>(options: DuckDbOptions, use: (db: DuckDb) => Promise<T>): Promise<T> {
  options.signal?.throwIfAborted();
  // Loaded when first needed: it takes 30 MB of every process that merely might.
  const { DuckDBInstance } = await import('@duckdb/node-api');
  const memory = options.memory ?? memoryLimit(process.env.REFIT_MEMORY);
  const memoryBytes = bytesOf(memory);
  const instance = await DuckDBInstance.create(':memory:', {
    temp_directory: options.scratch,
    threads: String(options.threads ?? (memoryBytes < LEAST_FOR_TWO ? 1 : 2)),
    memory_limit: memory,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
  const connection = await instance.connect();
  const interrupt = () => connection.interrupt();
  options.signal?.addEventListener('abort', interrupt);
  try {
    await connection.run("SET TimeZone = 'UTC'");
    return await use({
      connection,
      memoryBytes,
      fork: () => instance.connect(),
      run: async (sql) => {
        // An interrupt between two queries would be lost.
        options.signal?.throwIfAborted();
        await connection.run(sql);
      },
      chunks: (sql) => chunks(connection, sql, options.signal),
      rows: async <Row>(sql: string) => (await connection.runAndReadAll(sql)).getRowObjectsJS() as Row[],
    });
  } catch (error) {
    options.signal?.throwIfAborted();
    throw exhausted(error, memory);
  } finally {
    options.signal?.removeEventListener('abort', interrupt);
    connection.closeSync();
    instance.closeSync();
  }
}

/** DuckDB's own stream just ends where its query fails or is interrupted, and one that is left holds the database's memory until it is collected. */
async function* chunks(connection: DuckDBConnection, sql: string, signal: AbortSignal | undefined) {
  const { ResultReturnType } = await import('@duckdb/node-api');
  const stream = await connection.stream(sql);
  // The query goes on while who asked looks at a chunk.
  const fetch = () => {
    const chunk = stream.fetchChunk();
    chunk.catch(() => undefined);
    return chunk;
  };
  let next = fetch();
  let ended = false;
  try {
    for (let chunk = await next; chunk && chunk.rowCount > 0; chunk = await next) {
      next = fetch();
      yield chunk;
    }
    ended = true;
  } finally {
    if (!ended) {
      connection.interrupt();
      await next;
      await stream.fetchChunk();
    }
  }
  if (stream.returnType !== ResultReturnType.INVALID) return;
  signal?.throwIfAborted();
  // The stream does not tell why; the same query, its rows thrown away, does.
  await connection.run(`EXPLAIN ANALYZE ${sql}`);
  throw new Error('A query broke off before its end.');
}

/** REFIT_MEMORY: `2GB` unless set. @throws RefitError REFIT_USAGE when it is no amount of memory */
function memoryLimit(setting = '2GB'): string {
  if (/^[1-9]\d*(\.\d+)? ?[KMGT]i?B$/i.test(setting)) return setting;
  throw new RefitError(
    'REFIT_USAGE',
    `REFIT_MEMORY is "${setting}", which is no amount of memory; write e.g. 2GB or 512MB.`,
  );
}

/** `1.5GiB` → bytes, as DuckDB reads it. */
function bytesOf(memory: string): number {
  const [, amount, unit = 'G', binary] = /^([\d.]+) ?([KMGT])(i?)B$/i.exec(memory) ?? [];
  return Number(amount ?? 2) * (binary ? 1024 : 1000) ** (1 + 'KMGT'.indexOf(unit.toUpperCase()));
}

const DISK_FULL = /^IO Error: .*(No space left on device|ENOSPC)/;

const MEMORY_FULL = /^Out of Memory Error/;

/** DuckDB reports a full disk as an IO error with the system's words. Its own words may repeat a value: they go with the cause alone. */
function exhausted(error: unknown, memory: string): unknown {
  if (!(error instanceof Error)) return error;
  if (MEMORY_FULL.test(error.message)) {
    const message = `A query needs more memory than the ${memory} it may hold, even with the rest on disk.`;
    return new RefitError('REFIT_MEMORY_EXCEEDED', message, { memory }, { cause: error });
  }
  if (DISK_FULL.test(error.message)) {
    return new RefitError(
      'REFIT_STORE_FULL',
      'The disk is full: a query could not write its result.',
      {},
      { cause: error },
    );
  }
  return error;
}

/** A failure that says nothing about the data or the query: no disk, no memory, stopped. Told by its kind: its words may repeat a value. */
export function isOfMachine(error: unknown): boolean {
  if (error instanceof RefitError) return true;
  const { message } = error as Error;
  return MEMORY_FULL.test(message) || /^INTERRUPT Error/.test(message) || DISK_FULL.test(message);
}

/** `'` doubled, in quotes: a SQL string literal. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** `"` doubled, in double quotes: a SQL identifier. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
