/** Exact figures of each feature, counted in SQL over all rows. */
import { type DuckDb, literal } from '../dataset/duckdb.ts';
import type { CategoryFigures, Exploration, FeatureFigures, NumberFigures } from '../spec/exploration.ts';
import { columnOf, type ExploredTable, TABLE } from './explored-table.ts';

const BINS = 24;
const TOP = 10;
const QUANTILES = '[0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]';
const TIME_BINS = 24;

type Row = Record<string, unknown>;
type Counts = { rows: number; labelled: number; positives: number };

const BARS = `count(*)::DOUBLE AS rows, count(label)::DOUBLE AS labelled, count(*) FILTER (WHERE label)::DOUBLE AS positives`;
const barOf = ({ rows, labelled, positives }: Row): Counts => ({
  rows: Number(rows),
  labelled: Number(labelled),
  positives: Number(positives),
});

/** What SQL can say of a feature; AUC and notes come later. */
export async function featureFigures(
  db: DuckDb,
  { features, rows, from, to }: ExploredTable,
  told: (done: number) => void,
): Promise<FeatureFigures[]> {
  const figures: FeatureFigures[] = [];
  const over = await missingOverTime(db, features.length, from, to);
  for (const [index, { name, kind, view }] of features.entries()) {
    const column = columnOf(index);
    const [row = {}] = await db.rows(
      `SELECT count(${column})::DOUBLE AS there, count(DISTINCT ${column})::DOUBLE AS values FROM ${TABLE}`,
    );
    const there = Number(row.there);
    const distinct = Number(row.values);
    const base = { name, kind, view, missing: rows - there, distinct, auc: null, notes: [] };
    const own =
      there === 0
        ? {}
        : kind === 'number'
          ? { number: await numberFigures(db, column, distinct) }
          : { category: await categoryFigures(db, column) };
    figures.push({ ...base, ...own, missingOverTime: over[index] ?? [] });
    told(index + 1);
  }
  return figures;
}

async function numberFigures(db: DuckDb, column: string, distinct: number): Promise<NumberFigures> {
  const [row = {}] = await db.rows(`SELECT avg(${column}) AS mean, stddev_samp(${column}) AS std, min(${column}) AS min,
    max(${column}) AS max, quantile_cont(${column}, ${QUANTILES})::VARCHAR AS quantiles FROM ${TABLE}`);
  const quantiles = JSON.parse(String(row.quantiles)) as number[];
  const [min, max] = [Number(row.min), Number(row.max)];
  const [p01 = min, , q1 = min, , q3 = max, , p99 = max] = quantiles;
  const reach = 3 * (q3 - q1);
  // Where half of the rows are alike there is no distance to measure by: nothing is called an outlier.
  const fences = reach > 0 ? { low: q1 - reach, high: q3 + reach } : { low: min, high: max };
  const [beyond = {}] = await db.rows(`SELECT count(*) FILTER (WHERE ${column} < ${fences.low})::DOUBLE AS below,
    count(*) FILTER (WHERE ${column} > ${fences.high})::DOUBLE AS above FROM ${TABLE}`);
  const histogram = distinct <= BINS ? await byValue(db, column) : await byBin(db, column, [p01, p99], [min, max]);
  return {
    mean: Number(row.mean),
    std: row.std === null || row.std === undefined ? null : Number(row.std),
    ...{ min, max, quantiles, histogram },
    outliers: { ...fences, below: Number(beyond.below), above: Number(beyond.above) },
  };
}

/** One bar a value. */
async function byValue(db: DuckDb, column: string): Promise<NumberFigures['histogram']> {
  const rows = await db.rows(
    `SELECT ${column} AS value, ${BARS} FROM ${TABLE} WHERE ${column} IS NOT NULL GROUP BY value ORDER BY value`,
  );
  return rows.map((row) => ({ from: Number(row.value), to: Number(row.value), ...barOf(row) }));
}

/** Even bins between the quantiles (the whole range where those are equal); the first and the last take what is beyond. */
async function byBin(
  db: DuckDb,
  column: string,
  [p01, p99]: [number, number],
  range: [number, number],
): Promise<NumberFigures['histogram']> {
  const [low, high] = p99 > p01 ? [p01, p99] : range;
  const width = (high - low) / BINS;
  const bin = `least(${BINS - 1}, greatest(0, floor((${column} - (${low})) / ${width})))::INTEGER`;
  const rows = await db.rows(
    `SELECT ${bin} AS bin, ${BARS} FROM ${TABLE} WHERE ${column} IS NOT NULL GROUP BY bin ORDER BY bin`,
  );
  const found = new Map(rows.map((row) => [Number(row.bin), barOf(row)]));
  return Array.from({ length: BINS }, (_, i) => ({
    ...{ from: low + i * width, to: low + (i + 1) * width },
    ...(found.get(i) ?? { rows: 0, labelled: 0, positives: 0 }),
  }));
}

async function categoryFigures(db: DuckDb, column: string): Promise<CategoryFigures> {
  const rows = await db.rows(`SELECT ${column} AS value, ${BARS} FROM ${TABLE} WHERE ${column} IS NOT NULL
    GROUP BY value ORDER BY rows DESC, value LIMIT ${TOP}`);
  const top = rows.map((row) => ({ value: String(row.value), ...barOf(row) }));
  const [all = {}] = await db.rows(`SELECT ${BARS} FROM ${TABLE} WHERE ${column} IS NOT NULL`);
  const rest = (key: keyof Counts) => Number(all[key]) - top.reduce((sum, one) => sum + one[key], 0);
  return { top, other: { rows: rest('rows'), labelled: rest('labelled'), positives: rest('positives') } };
}

/** By feature, the share of missing values in each of 24 even stretches of time; an empty stretch misses nothing. */
async function missingOverTime(db: DuckDb, features: number, from: string | null, to: string | null) {
  if (from === null || to === null || features === 0) return [];
  const span = Math.max(1, Date.parse(to) - Date.parse(from));
  const bin = `least(${TIME_BINS - 1}, floor((epoch_ms(asked) - ${Date.parse(from)}) * ${TIME_BINS} / ${span}))::INTEGER`;
  const shares = Array.from({ length: features }, (_, i) => `1 - count(${columnOf(i)}) / count(*) AS m${i}`);
  const rows = await db.rows(`SELECT ${bin} AS bin, ${shares.join(', ')} FROM ${TABLE} GROUP BY bin`);
  return Array.from({ length: features }, (_, i) => {
    const series = new Array<number>(TIME_BINS).fill(0);
    for (const row of rows) series[Number(row.bin)] = Number(row[`m${i}`]);
    return series;
  });
}

const HOUR_MS = 3_600_000;
/** Unit of time → the longest span (ms) that is drawn by it. */
const UNITS: [string, number][] = [
  ['hour', 4 * 24 * HOUR_MS],
  ['day', 130 * 24 * HOUR_MS],
  ['week', 130 * 7 * 24 * HOUR_MS],
  ['month', 20 * 366 * 24 * HOUR_MS],
];

/** Rows and positives over time, in bins of a unit that fits the span. */
export async function labelOverTime(db: DuckDb, { from, to }: ExploredTable): Promise<Exploration['time']> {
  if (from === null || to === null) return { unit: 'day', bins: [] };
  const span = Date.parse(to) - Date.parse(from);
  const unit = UNITS.find(([, longest]) => span <= longest)?.[0] ?? 'year';
  const rows =
    await db.rows(`SELECT strftime(date_trunc(${literal(unit)}, asked), '%Y-%m-%dT%H:%M:%SZ') AS start, ${BARS}
    FROM ${TABLE} GROUP BY start ORDER BY start`);
  return { unit, bins: rows.map((row) => ({ at: String(row.start), ...barOf(row) })) };
}
