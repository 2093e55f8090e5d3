/** From whatever a table says of time to an expression that gives UTC. */
import { type DuckDb, identifier, literal } from '../../dataset/duckdb.ts';
import { RefitError } from '../../spec/errors.ts';
import { inShell, quoted } from './names.ts';
import type { ColumnProfile } from './profile.ts';

export interface TimeReading {
  /** SQL that gives TIMESTAMP or DATE. */
  sql: string;
  /** How the column is read, in words. */
  how: string;
  /** Whether `sql` is the column itself, which then needs no name of its own. */
  plain: boolean;
}

/** Largest part of the values that may be no times. */
const MOST_BROKEN = 0.005;

/** Numbers as times: from, below, SQL, words. The ranges do not meet: seconds of 2033 are milliseconds of 1970-01-24. */
const EPOCHS: [from: number, below: number, sql: (value: string) => string, how: string][] = [
  [1700, 2200, (v) => `make_date(${v}::BIGINT, 1, 1)`, 'years'],
  [170_001, 220_013, (v) => `try_strptime((${v}::BIGINT)::VARCHAR, '%Y%m')`, 'months written 202401'],
  [17_000_101, 22_001_232, (v) => `try_strptime((${v}::BIGINT)::VARCHAR, '%Y%m%d')`, 'days written 20240131'],
  [1e8, 1e10, (v) => `to_timestamp(${v})`, 'seconds since 1970 (UTC)'],
  [1e11, 1e13, (v) => `epoch_ms(${v}::BIGINT)`, 'milliseconds since 1970 (UTC)'],
  [1e14, 1e16, (v) => `make_timestamp(${v}::BIGINT)`, 'microseconds since 1970 (UTC)'],
  [1e17, 1e19, (v) => `make_timestamp(${v}::BIGINT // 1000)`, 'nanoseconds since 1970 (UTC)'],
];

const DATES = [
  ...['%d/%m/%Y', '%m/%d/%Y', '%d.%m.%Y', '%m.%d.%Y', '%d-%m-%Y', '%m-%d-%Y', '%Y/%m/%d', '%Y.%m.%d', '%Y%m%d'],
  ...['%d/%m/%y', '%m/%d/%y', '%d.%m.%y', '%d-%b-%Y', '%d-%b-%y', '%d %b %Y', '%d %B %Y', '%b %d, %Y', '%B %d, %Y'],
  ...['%b %d %Y', '%a, %d %b %Y', '%a %d %b %Y', '%Y-%m-%d', '%Y-%m', '%m/%Y', '%b %Y', '%B %Y', '%Y-%b-%d'],
];
const CLOCKS = ['', ' %H:%M', ' %H:%M:%S', ' %H:%M:%S.%f', ' %I:%M %p', ' %I:%M:%S %p', 'T%H:%M:%S', 'T%H:%M:%S.%f'];
const ZONES = ['', ' UTC', ' GMT', ' %z', '%z', 'Z'];
const FORMATS = [
  ...DATES.flatMap((date) =>
    CLOCKS.flatMap((clock) => (clock === '' ? [''] : ZONES).map((zone) => date + clock + zone)),
  ),
  '%a %b %d %H:%M:%S %Y',
];

/** How a column says when. `option` is for messages. @throws RefitError REFIT_USAGE when it does not */
export async function readTime(db: DuckDb, column: ColumnProfile, option: string, zone: string): Promise<TimeReading> {
  const { name, holds, sql } = column;
  if (column.filled === 0) throw usage(`${option} ${name}: the column is empty.`);
  if (holds === 'date' || holds === 'date-time') {
    const how = holds === 'date' ? 'days' : `times${zoned(column) ? '' : `, those without a zone taken as ${zone}`}`;
    // The contract does not type a column with some values that are no times: then it does not heed the zone either.
    if (column.contract === 'string') {
      return { sql: holds === 'date' ? sql : castInZone(identifier(name), zone), how, plain: false };
    }
    return { sql, how, plain: true };
  }
  if (holds === 'integer' || holds === 'number') {
    const reading = await epoch(db, column);
    if (reading) return reading;
  }
  if (column.fileType === 'VARCHAR') return written(db, column, option, zone);
  const example = await exampleOf(db, name);
  throw usage(
    `${option} ${name} holds no times I can read (e.g. ${example}); give an SQL expression that makes one, e.g. ${option} ${inShell(`TIMESTAMP '2024-01-01' + to_days(${sql})`)}.`,
  );
}

const zoned = ({ fileType }: ColumnProfile) => fileType === 'TIMESTAMP WITH TIME ZONE';

/** `sql` is read in the sample as in the whole: text is cast, numbers are numbers. */
async function epoch(db: DuckDb, column: ColumnProfile): Promise<TimeReading | undefined> {
  const raw = `try_cast(${identifier(column.name)} AS DOUBLE)`;
  const [range] = await db.rows<{ low: number | null; high: number | null }>(
    `SELECT quantile_disc(v, 0.002) AS low, quantile_disc(v, 0.998) AS high FROM (SELECT ${raw} AS v FROM sample) WHERE isfinite(v)`,
  );
  const { low, high } = range ?? {};
  if (low == null || high == null) return undefined;
  const found = EPOCHS.find(([from, below]) => low >= from && high < below);
  if (!found) return undefined;
  const [from, below, make, how] = found;
  const [others] = await db.rows<{ n: number }>(
    `SELECT count(*)::DOUBLE AS n FROM (SELECT ${raw} AS v FROM raw) WHERE NOT (v >= ${from} AND v < ${below} AND isfinite(v))`,
  );
  const made = make(column.sql);
  // A placeholder such as 9223372036854775807 is no time; it must not end the run.
  return { sql: others?.n ? `TRY(${made})` : made, how, plain: false };
}

async function written(db: DuckDb, { name, sql }: ColumnProfile, option: string, zone: string): Promise<TimeReading> {
  const own = identifier(name);
  const fits = await fittingFormats(db, own);
  const days = await Promise.all(fits.map((format) => differ(db, own, fits[0] ?? '', format)));
  const other = fits.find((_, i) => days[i]);
  if (other !== undefined) {
    const [first = ''] = fits;
    throw usage(
      `${option} ${name} can be read as ${first} and as ${other} (e.g. ${await exampleOf(db, name)}); say which, e.g. ${option} ${inShell(`try_strptime(${sql}, '${first}')`)}.`,
    );
  }
  const [format] = fits;
  if (format !== undefined) {
    return {
      sql: inZone(`try_strptime(${sql}, ${literal(format)})`, format, zone),
      how: `text written ${format}`,
      plain: false,
    };
  }
  const [cast] = await db.rows<{ ok: boolean }>(
    `SELECT count(try_cast(${own} AS TIMESTAMP)) >= count(*) * ${1 - MOST_BROKEN} AS ok FROM sample WHERE trim(${own}) <> ''`,
  );
  if (cast?.ok) return { sql: castInZone(sql, zone), how: 'text of dates and times', plain: false };
  throw usage(
    `${option} ${name} holds no times I can read (e.g. ${await exampleOf(db, name)}); give an SQL expression that reads it, e.g. ${option} ${inShell(`try_strptime(${sql}, '%d.%m.%Y %H:%M')`)}.`,
  );
}

/** Formats that read (nearly) every value: tried on some values, then on the sample. */
async function fittingFormats(db: DuckDb, own: string): Promise<string[]> {
  await db.run(
    `CREATE OR REPLACE TEMP TABLE time_texts AS SELECT DISTINCT ${own} AS t FROM sample WHERE trim(${own}) <> ''`,
  );
  const fitting = async (formats: string[], limit: string): Promise<string[]> => {
    if (formats.length === 0) return [];
    const counts = formats.map(
      (format, i) => `count(try_strptime(t, ${literal(format)})) >= count(*) * ${1 - MOST_BROKEN} AS f${i}`,
    );
    const [row = {}] = await db.rows(
      `SELECT count(*) > 0 AS some, ${counts.join(', ')} FROM (SELECT t FROM time_texts ${limit})`,
    );
    return row.some ? formats.filter((_, i) => row[`f${i}`] === true) : [];
  };
  return fitting(await fitting(FORMATS, 'ORDER BY hash(t) LIMIT 200'), '');
}

/** Whether two formats give other times for some value: %d/%m/%Y and %m/%d/%Y agree on 01/01/2024 alone. */
async function differ(db: DuckDb, own: string, first: string, second: string): Promise<boolean> {
  if (first === second) return false;
  const parse = (format: string) => `try_strptime(${own}, ${literal(format)})::TIMESTAMP`;
  const [row] = await db.rows<{ n: number }>(
    `SELECT count(*)::DOUBLE AS n FROM sample WHERE ${parse(first)} <> ${parse(second)}`,
  );
  return (row?.n ?? 0) > 0;
}

function inZone(sql: string, format: string, zone: string): string {
  const hasZone = /%z|UTC|GMT|Z$/.test(format);
  return zone === 'UTC' || hasZone ? sql : `timezone('UTC', timezone(${literal(zone)}, ${sql}))`;
}

/** Text as DuckDB reads it, which heeds offsets in TIMESTAMPTZ alone; the zone is for values without one. */
function castInZone(text: string, zone: string): string {
  const zoned = `timezone('UTC', try_cast(${text} AS TIMESTAMPTZ))`;
  if (zone === 'UTC') return zoned;
  const naive = inZone(`try_cast(${text} AS TIMESTAMP)`, '', zone);
  const offset = String.raw`\d:\d.*(Z|z|[+-]\d\d(:?\d\d)?)$`;
  return `CASE WHEN regexp_matches(${text}, ${literal(offset)}) THEN ${zoned} ELSE ${naive} END`;
}

async function exampleOf(db: DuckDb, name: string): Promise<string> {
  const own = identifier(name);
  const [row] = await db.rows<{ v: string }>(
    `SELECT ${own}::VARCHAR AS v FROM sample WHERE ${own} IS NOT NULL LIMIT 1`,
  );
  return quoted(row?.v ?? '');
}

function usage(message: string): RefitError {
  return new RefitError('REFIT_USAGE', message);
}
