/**
 * Durations of the test, validation and training periods, chosen from the times of the rows: about the last fifth to test, the
 * fifth before to tune, the rest to train, with both outcomes in each. Every proposal is counted as a run would count it.
 */
import type { DuckDb } from '../../dataset/duckdb.ts';
import { isoSql, timestampLiteral } from '../../dataset/time-sql.ts';
import { RefitError } from '../../spec/errors.ts';
import type { SplitSpec } from '../../spec/pipeline.ts';
import { shift } from '../../spec/time.ts';

/** Largest unit that all times are whole in: days for dates; `none`: fractions of a second. */
export type Grain = 'day' | 'hour' | 'minute' | 'second' | 'none';

export interface Counts {
  rows: number;
  positives: number;
}

export interface ChosenSplit {
  split: SplitSpec;
  asOf: string;
  train: Counts;
  validate: Counts;
  test: Counts;
  /** Prediction times of labelled rows, ISO UTC. */
  from: string;
  to: string;
}

const SECONDS = { mo: 30 * 86_400, d: 86_400, h: 3600, m: 60, s: 1 };
type Unit = keyof typeof SECONDS;
/** Boundaries lie between days where rows are days: a label that is known at the end of a day is known before a boundary. */
const UNITS: Record<Grain, Unit[]> = {
  day: ['mo', 'd'],
  hour: ['mo', 'd', 'h'],
  minute: ['mo', 'd', 'h', 'm'],
  second: ['mo', 'd', 'h', 'm', 's'],
  none: ['mo', 'd', 'h', 'm', 's'],
};
/** A duration is written in a unit of which it has at least so many. */
const FEWEST: Record<Unit, number> = { mo: 4, d: 3, h: 3, m: 3, s: 1 };

/** Shares of the labelled rows to test and to validate on, best first. */
const SHARES: [test: number, validate: number][] = [
  [0.2, 0.2],
  [0.2, 0.15],
  [0.25, 0.25],
  [0.15, 0.15],
  [0.3, 0.2],
  [0.2, 0.3],
  [0.3, 0.3],
  [0.1, 0.1],
  [0.4, 0.2],
  [0.25, 0.4],
  [0.4, 0.3],
  [0.1, 0.3],
];
/** Rows of the rarer outcome that each period should have; fewer will do when there are no more. */
const OUTCOMES = [10, 4, 2, 1];
const FEWEST_ROWS = 30;

/**
 * Chooses a split of the relation `asked`: `asked_at`, `known` (when the label was known; both TIMESTAMP) and `y` (BOOLEAN).
 * @throws RefitError REFIT_USAGE (too few rows, one time), REFIT_LABEL_ONE_CLASS
 */
export async function chooseSplit(db: DuckDb, asOf: string, grain: Grain, time: string): Promise<ChosenSplit> {
  const [range] = await db.rows<{ rows: number; yes: number; times: number; from: string; to: string }>(`SELECT
      count(*)::DOUBLE AS rows, count(*) FILTER (WHERE y)::DOUBLE AS yes, count(DISTINCT date_trunc('second', asked_at))::DOUBLE AS times,
      ${isoSql("date_trunc('second', min(asked_at))")} AS "from", ${isoSql("date_trunc('second', max(asked_at))")} AS "to"
    FROM asked WHERE ${usable(asOf)}`);
  const { rows = 0, yes = 0, times = 0, from = '', to = '' } = range ?? {};
  refuse(rows, yes, times, time);
  for (const fewest of OUTCOMES) {
    for (const shares of SHARES) {
      const proposal = await propose(db, asOf, grain, shares, from);
      if (proposal === undefined) continue;
      const counts = await countPeriods(db, asOf, proposal);
      const enough = Object.values(counts).every(
        ({ rows, positives }) => Math.min(positives, rows - positives) >= fewest,
      );
      if (enough) return { split: proposal, asOf, ...counts, from, to };
    }
  }
  const message = `No split by ${time} puts both outcomes into a training, a validation and a test period: of ${rows} labelled rows from ${from} to ${to}, ${yes} are positive and they do not spread over time; give more data or another --time.`;
  throw new RefitError('REFIT_LABEL_ONE_CLASS', message, { rows, positives: yes, from, to });
}

function refuse(rows: number, yes: number, times: number, time: string): void {
  if (rows === 0) throw usage(`No row has both a label and a time in ${time} at which it was known.`);
  if (yes === 0 || yes === rows) {
    throw new RefitError(
      'REFIT_LABEL_ONE_CLASS',
      `All ${rows} labelled rows have the label ${yes > 0}; a model needs both.`,
    );
  }
  if (times < 3) {
    const what = times === 1 ? 'one single time' : 'two times only';
    throw usage(
      `${time} has ${what} in all labelled rows, and a model is tested on rows later than those it learned from: at least three times are needed.`,
    );
  }
  if (rows < FEWEST_ROWS) throw usage(`There are ${rows} labelled rows; at least ${FEWEST_ROWS} are needed.`);
}

/** Rows that a run as of `asOf` can use: asked before, label known by then. */
function usable(asOf: string): string {
  return `asked_at < ${timestampLiteral(asOf)} AND y IS NOT NULL AND known <= ${timestampLiteral(asOf)}`;
}

/** Durations for shares of rows; undefined where periods would be empty. */
async function propose(
  db: DuckDb,
  asOf: string,
  grain: Grain,
  [test, validate]: [number, number],
  from: string,
): Promise<SplitSpec | undefined> {
  const [cut] = await db.rows<{ t: string; v: string }>(`SELECT
      ${isoSql(`date_trunc('second', quantile_disc(asked_at, ${1 - test}))`)} AS t,
      ${isoSql(`date_trunc('second', quantile_disc(asked_at, ${(1 - test - validate).toFixed(3)}))`)} AS v FROM asked WHERE ${usable(asOf)}`);
  if (!cut?.t || !cut.v) return undefined;
  const end = new Date(asOf);
  const testFor = duration(end, new Date(cut.t), grain);
  const testFrom = shift(end, testFor, -1);
  const validateFor = duration(testFrom, new Date(cut.v), grain);
  const validateFrom = shift(testFrom, validateFor, -1);
  const first = new Date(from);
  if (validateFrom <= first) return undefined;
  const history = (validateFrom.getTime() - first.getTime()) / 1000;
  return { test: testFor, validate: validateFor, train: halfToTwice(history, grain) };
}

/** From `start` to `end`, in a unit that reads well; at least one, and at least up to `start`. */
function duration(end: Date, start: Date, grain: Grain): string {
  const seconds = Math.max(0, (end.getTime() - start.getTime()) / 1000);
  const unit = unitFor(seconds, grain);
  return `${Math.max(1, Math.ceil(seconds / SECONDS[unit] - (unit === 'mo' ? 0.5 : 0)))}${unit}`;
}

/** Half of the history is enough, twice as much the most: in one unit, never more than half. */
function halfToTwice(seconds: number, grain: Grain): { min: string; max: string } {
  const unit = unitFor(seconds / 2, grain);
  const units = (wanted: number) => `${Math.max(1, Math.floor(wanted / SECONDS[unit]))}${unit}`;
  return { min: units(seconds / 2), max: units(seconds * 2) };
}

function unitFor(seconds: number, grain: Grain): Unit {
  const units = UNITS[grain];
  return units.find((unit) => seconds >= SECONDS[unit] * FEWEST[unit]) ?? units.at(-1) ?? 's';
}

/** As `splitPeriods` and the training set count: a label known only after its period's end does not count there. */
async function countPeriods(
  db: DuckDb,
  asOf: string,
  split: SplitSpec,
): Promise<Record<'train' | 'validate' | 'test', Counts>> {
  const end = new Date(asOf);
  const test = shift(end, split.test, -1);
  const validate = shift(test, split.validate, -1);
  const train = shift(validate, split.train.max, -1);
  const sql = (date: Date) => timestampLiteral(date.toISOString());
  const within = (from: Date, to: Date) =>
    `asked_at >= ${sql(from)} AND asked_at < ${sql(to)} AND known <= ${sql(to)} AND y IS NOT NULL`;
  const periods = { train: within(train, validate), validate: within(validate, test), test: within(test, end) };
  const items = Object.entries(periods).flatMap(([name, condition]) => [
    `count(*) FILTER (WHERE ${condition})::DOUBLE AS ${name}_rows`,
    `count(*) FILTER (WHERE ${condition} AND y)::DOUBLE AS ${name}_yes`,
  ]);
  const [row = {}] = await db.rows<Record<string, number>>(`SELECT ${items.join(', ')} FROM asked`);
  const counts = (name: string): Counts => ({ rows: row[`${name}_rows`] ?? 0, positives: row[`${name}_yes`] ?? 0 });
  return { train: counts('train'), validate: counts('validate'), test: counts('test') };
}

/** More rows than this are not held for requests by key; the newest are. */
const MOST_ONLINE = 200_000;

/** How far back from `asOf` the rows go that can be asked for by key: all of them, or the newest. */
export async function onlineFor(db: DuckDb, asOf: string, grain: Grain): Promise<string> {
  const [row] = await db.rows<{ oldest: string }>(`SELECT ${isoSql("date_trunc('second', min(asked_at))")} AS oldest
    FROM (SELECT asked_at FROM asked WHERE asked_at < ${timestampLiteral(asOf)} ORDER BY asked_at DESC LIMIT ${MOST_ONLINE})`);
  const seconds = (Date.parse(asOf) - Date.parse(row?.oldest ?? asOf)) / 1000;
  const unit = unitFor(seconds, grain);
  return `${Math.ceil(seconds / SECONDS[unit]) + 1}${unit}`;
}

/** The grain of the times `at` of a relation. */
export async function grainOf(db: DuckDb, relation: string, at: string): Promise<Grain> {
  const grains = ['day', 'hour', 'minute', 'second'] as const;
  const items = grains.map((grain) => `bool_and(date_trunc('${grain}', ${at}) = ${at}) AS ${grain}s`);
  const [row = {}] = await db.rows<Record<string, boolean>>(
    `SELECT ${items.join(', ')} FROM ${relation} WHERE isfinite(${at})`,
  );
  return grains.find((grain) => row[`${grain}s`]) ?? 'none';
}

function usage(message: string): RefitError {
  return new RefitError('REFIT_USAGE', message);
}
