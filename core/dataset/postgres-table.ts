import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Client, FieldDef } from 'pg';
import { RefitError } from '../spec/errors.ts';
import { identifier, isOfMachine, literal, withDuckDb } from './duckdb.ts';
import { type OpenTable, qualified, type TableContext, UNITS } from './table-port.ts';

const CONNECT_MS = 10_000;

/**
 * A table or query of PostgreSQL, all of it read in one transaction that sees one state (REPEATABLE READ, READ ONLY). The address is
 * read from the environment variable that the source names, and told to nobody.
 * @throws RefitError REFIT_SOURCE_UNREACHABLE
 */
export async function withPostgresTable<T>(context: TableContext, use: (table: OpenTable) => Promise<T>): Promise<T> {
  const { source, signal } = context;
  const client = await connect(context);
  const stop = () => void client.end().catch(() => undefined);
  signal?.addEventListener('abort', stop);
  const asked = <R>(work: () => Promise<R>): Promise<R> =>
    work().catch((error: unknown) => {
      signal?.throwIfAborted();
      throw refused(error, context.path, source);
    });
  try {
    await asked(() => client.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY'));
    await asked(() =>
      client.query(
        `SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL IntervalStyle = 'iso_8601'; SET LOCAL extra_float_digits = 1`,
      ),
    );
    return await use(tableOf(client, context, asked));
  } finally {
    signal?.removeEventListener('abort', stop);
    await client.end().catch(() => undefined);
  }
}

function tableOf(client: Client, context: TableContext, asked: <R>(work: () => Promise<R>) => Promise<R>): OpenTable {
  const { table } = context;
  const from = table.name === undefined ? `(${table.query}\n) AS q` : `${qualified(table.name)} AS q`;
  const by = table.by === undefined ? undefined : `q.${identifier(table.by)}`;
  const unit = UNITS[table.every ?? '1mo'];
  return {
    async periods() {
      const version = table.version === undefined ? 'NULL' : `max(q.${identifier(table.version)})`;
      const start = by === undefined ? 'NULL' : `to_char(date_trunc('${unit}', ${by}), 'YYYY-MM-DD"T"HH24:MI:SS')`;
      const text = `SELECT ${start} AS start, count(*)::float8 AS rows, ${version}::text AS version FROM ${from}${by === undefined ? '' : ' GROUP BY 1 ORDER BY 1'}`;
      const { rows } = await asked(() =>
        client.query<{ start: string | null; rows: number; version: string | null }>(text),
      );
      return rows.map((row) => (by === undefined ? { ...row, start: undefined } : row));
    },
    async copy({ start }, to) {
      const during =
        start === null ? `${by} IS NULL` : `date_trunc('${unit}', ${by}) = ${literal(start ?? '')}::timestamp`;
      const where = start === undefined ? '' : ` WHERE ${during}`;
      const { fields } = await asked(() => client.query(`SELECT q.* FROM ${from} LIMIT 0`));
      // Rows by their text: heap order changes with every vacuum.
      const select = `SELECT q.* FROM ${from}${where} ORDER BY ${by === undefined ? '' : `${by}, `}q::text COLLATE "C"`;
      const csv = path.join(context.scratch, 'rows.csv');
      const { to: copyTo } = await import('pg-copy-streams');
      const stream = client.query(copyTo(`COPY (${select}) TO STDOUT WITH (FORMAT csv, FORCE_QUOTE *)`));
      await asked(() => pipeline(stream, createWriteStream(csv)));
      await toParquet(context, fields, csv, to);
    },
  };
}

async function connect({ table, source, env, path: shown }: TableContext): Promise<Client> {
  const variable = table.url ?? '';
  const url = env[variable];
  if (!url) {
    const message = `Source "${source}" reads the address of its database from ${variable}, which is not set.`;
    throw new RefitError('REFIT_SOURCE_UNREACHABLE', message, { source, variable });
  }
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) {
    const message = `Source "${source}": ${variable} holds no address of PostgreSQL; write e.g. postgres://user:password@host:5432/database.`;
    throw new RefitError('REFIT_SOURCE_UNREACHABLE', message, { source, variable });
  }
  const { default: pg } = await import('pg');
  for (let left = 2; ; left--) {
    const client = new pg.Client({
      connectionString: url,
      application_name: 'refit',
      connectionTimeoutMillis: CONNECT_MS,
      keepAlive: true,
    });
    // A connection that breaks between two queries is told by the next one.
    client.on('error', () => undefined);
    try {
      await client.connect();
      return client;
    } catch (error) {
      await client.end().catch(() => undefined);
      const { code = '' } = error as { code?: string };
      if (left === 0 || !/^(ECONN|ETIMEDOUT|57P0|53300)/.test(code)) throw refused(error, shown, source);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
}

/** Types that are carried on as themselves, by PostgreSQL's number; all others as their text. */
const TYPES: Record<number, string> = {
  16: 'BOOLEAN',
  20: 'BIGINT',
  21: 'SMALLINT',
  23: 'INTEGER',
  26: 'BIGINT',
  700: 'FLOAT',
  701: 'DOUBLE',
  1082: 'DATE',
  1114: 'TIMESTAMP',
  1184: 'TIMESTAMPTZ',
  1700: 'DOUBLE',
};

/** The rows as Parquet; one thread, so that the same rows give the same bytes. */
async function toParquet(
  { scratch, signal, path: shown, source }: TableContext,
  fields: FieldDef[],
  csv: string,
  to: string,
): Promise<void> {
  const columns = fields.map(({ name, dataTypeID, dataTypeModifier }) => {
    // numeric(p, s) is exact where DuckDB can hold it.
    const [precision, scale] = [(dataTypeModifier - 4) >> 16, (dataTypeModifier - 4) & 0xffff];
    const decimal = dataTypeID === 1700 && dataTypeModifier > 0 && precision <= 38 && scale <= precision;
    return `${literal(name)}: ${literal(decimal ? `DECIMAL(${precision}, ${scale})` : (TYPES[dataTypeID] ?? 'VARCHAR'))}`;
  });
  const reader = `read_csv(${literal(csv)}, columns = {${columns.join(', ')}}, header = false, auto_detect = false, delim = ',',
    quote = '"', escape = '"', nullstr = '', allow_quoted_nulls = false, parallel = false, max_line_size = 16000000)`;
  await withDuckDb({ scratch, signal, threads: 1 }, (db) =>
    db
      .run(`COPY (SELECT * FROM ${reader}) TO ${literal(to)} (FORMAT parquet, COMPRESSION zstd)`)
      .catch((error: unknown) => Promise.reject(unfit(error, fields, shown, source))),
  );
}

/** A value that no type of ours holds (NaN in numeric(10, 2), a year before Christ). DuckDB's words repeat the row: they stay here. */
function unfit(error: unknown, fields: FieldDef[], shown: string, source: string): unknown {
  if (isOfMachine(error)) return error;
  const text = String(error);
  const column = fields.find(({ name }) => text.includes(`\nError when converting column "${name}"`));
  const where = column === undefined ? 'a value' : `a value of its column "${column.name}"`;
  const why = `${where} does not fit its type; ask for it as text in a query`;
  return new RefitError('REFIT_SOURCE_UNREADABLE', `${shown} of source "${source}" cannot be read: ${why}.`, {
    source,
  });
}

/**
 * Classes of SQLSTATE whose words are about the connection, the server or the query; those of all others (22: data exceptions) may
 * repeat a value of a row.
 */
const WORDS_OF = /^(08|0A|25|26|28|3D|3F|42|53|55|57|58)/;

/** PostgreSQL's own words, which never hold a password, where they hold no value of a row either. */
function refused(error: unknown, shown: string, source: string): unknown {
  if (error instanceof RefitError) return error;
  const { code = '', message = '' } = error as { code?: string; message?: string };
  const told = code.length !== 5 || WORDS_OF.test(code);
  const words = message === '' ? code || 'no answer' : message.split('\n')[0];
  const why = told
    ? words
    : `its query fails on the data (SQLSTATE ${code}; its words are withheld: they may repeat personal data)`;
  const text = `${shown} of source "${source}" cannot be read: ${why?.replace(/\.$/, '')}.`;
  return new RefitError('REFIT_SOURCE_UNREACHABLE', text, { source, system: code });
}
