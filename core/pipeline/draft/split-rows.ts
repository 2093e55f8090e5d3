/** The rows that a run as of the end of the data asks about, their split, and what the user should know of them. */
import { newestEventOf } from '../../dataset/snapshot-sql.ts';
import { isoSql, timestampLiteral } from '../../dataset/time-sql.ts';
import { RefitError } from '../../spec/errors.ts';
import { type ChosenSplit, chooseSplit, type Grain } from './choose-split.ts';
import { type Ground, told } from './open-rows.ts';

/** Rows of the rarer outcome in a period below which figures are shaky. */
const FEW = 30;

/**
 * Creates the table `asked`: `asked_at`, `known` (when the label was), `over` (when the row is complete) and `y`.
 * @throws RefitError REFIT_USAGE, REFIT_LABEL_ONE_CLASS
 */
export async function splitRows(
  { db, table, time, label }: Ground,
  { over, knownAt, grain }: { over: string; knownAt: string; grain: Grain },
): Promise<{ split: ChosenSplit; notes: string[] }> {
  const when = (sql: string) => `(${sql})::TIMESTAMP`;
  await told('--label', () =>
    db.run(`CREATE TEMP TABLE asked AS SELECT ${when(time.at)} AS asked_at,
      greatest(coalesce(${when(knownAt)}, 'infinity'), ${when(time.at)}) AS known,
      ${when(over)} AS "over", (${label.sql})::BOOLEAN AS y
      FROM timed WHERE NOT __broken AND isfinite(${when(time.at)})`),
  );
  const [newest] = await db.rows<{ at: string | null }>(`SELECT ${isoSql('max("over")')} AS at FROM asked`);
  const asOf = newestEventOf(newest?.at ? [{ eventRange: { oldest: newest.at, newest: newest.at } }] : []);
  if (asOf === null) throw new RefitError('REFIT_USAGE', `--time ${time.column} is empty in every row.`);
  const split = await chooseSplit(db, asOf, grain, time.column);
  return { split, notes: await notesOn({ db, table, time }, split) };
}

async function notesOn(
  { db, table, time }: Pick<Ground, 'db' | 'table' | 'time'>,
  split: ChosenSplit,
): Promise<string[]> {
  const late = `y IS NOT NULL AND NOT known <= ${timestampLiteral(split.asOf)}`;
  const [counts] = await db.rows<{ timed: number; unlabelled: number; late: number }>(`SELECT count(*)::DOUBLE AS timed,
    count(*) FILTER (WHERE y IS NULL)::DOUBLE AS unlabelled, count(*) FILTER (WHERE ${late})::DOUBLE AS late FROM asked`);
  const { timed = 0, unlabelled = 0, late: lateRows = 0 } = counts ?? {};
  const count = (rows: number) => rows.toLocaleString('en-US');
  const lost = table.rows - timed;
  const periods = [split.train, split.validate, split.test];
  const few = Math.min(...periods.map(({ rows, positives }) => Math.min(positives, rows - positives)));
  return [
    ...(lost > 0
      ? [`${count(lost)} of ${count(table.rows)} rows have no time in ${time.column} and are not used.`]
      : []),
    ...(unlabelled > 0 ? [`${count(unlabelled)} rows have no label; they are counted and left out of training.`] : []),
    ...(lateRows > 0 ? [`The label of ${count(lateRows)} rows is known only after the end of the data.`] : []),
    ...(few < FEW
      ? [`A period has only ${few} rows of the rarer outcome: take the figures with a grain of salt.`]
      : []),
  ];
}
