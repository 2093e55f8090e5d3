/** Which columns a first model may learn from, and why not the others. */
import { type DuckDb, identifier } from '../../dataset/duckdb.ts';
import { isNamedAsId } from './entity-key.ts';
import type { ColumnProfile } from './profile.ts';

export interface LeftOut {
  column: string;
  why: string;
  /** A column that could be a feature after all: SQL that would make it one. */
  sql?: string;
}

export interface Candidate extends ColumnProfile {
  kind: 'number' | 'category';
}

/** More levels than this are no category; fewer are where each has some rows. */
const MOST_LEVELS = 1000;
const SURE_LEVELS = 50;
const ROWS_PER_LEVEL = 5;
/** Many texts of more characters than this, with spaces in them, are sentences. */
const TEXT_LENGTH = 30;

/** Sorts columns by what they hold alone. @param time SQL of the prediction time */
export function chooseColumns(
  columns: readonly ColumnProfile[],
  time: string,
): { candidates: Candidate[]; leftOut: LeftOut[] } {
  const candidates: Candidate[] = [];
  const leftOut: LeftOut[] = [];
  for (const column of columns) {
    const why = unfit(column);
    if (why === undefined) candidates.push({ ...column, kind: column.holds === 'text' ? 'category' : 'number' });
    else leftOut.push({ column: column.name, why, ...sinceSql(column, time) });
  }
  return { candidates, leftOut };
}

function unfit(column: ColumnProfile): string | undefined {
  const { name, holds, nulls, filled, distinct, unsure } = column;
  if (filled === 0) return 'it is empty';
  if (name.startsWith('__')) return 'names that begin with two underscores are reserved';
  if (holds === 'nested' || holds === 'other') return `a model takes no ${column.fileType.slice(0, 40)}`;
  if (holds === 'date' || holds === 'date-time')
    return 'a time by itself means nothing to a model; how long ago it was might';
  if (distinct === 1 && nulls === 0) return 'it is the same in every row';
  if (unsure) return unsure;
  if (holds === 'text') return unfitText(column);
  if (holds !== 'integer') return undefined;
  if (isNamedAsId(name) && distinct > SURE_LEVELS) return 'it is an identifier by its name';
  return undefined;
}

function unfitText({ distinct, filled, spaces, length, name }: ColumnProfile): string | undefined {
  if (distinct <= SURE_LEVELS && (distinct < filled * 0.9 || filled < SURE_LEVELS)) return undefined;
  if (spaces > 0.5 && length > TEXT_LENGTH) return 'it is free text';
  if (distinct <= MOST_LEVELS && filled >= distinct * ROWS_PER_LEVEL) return undefined;
  if (isNamedAsId(name)) return 'it is an identifier by its name';
  return distinct >= filled * 0.9
    ? 'it differs in nearly every row'
    : `it has too many different values (${distinct.toLocaleString('en-US')}) to learn from each`;
}

function sinceSql({ holds, sql }: ColumnProfile, time: string): { sql?: string } {
  return holds === 'date' || holds === 'date-time' ? { sql: `date_diff('day', ${sql}, ${time})` } : {};
}

/** Whole columns of 1, 2, 3 … count the rows. */
export async function rowNumbers(db: DuckDb, candidates: readonly Candidate[]): Promise<Set<string>> {
  const whole = candidates.filter(
    ({ holds, distinct, filled, nulls }) => holds === 'integer' && distinct === filled && nulls === 0 && filled >= 50,
  );
  const found = new Set<string>();
  for (const { name } of whole) {
    const value = `try_cast(${identifier(name)} AS HUGEINT)`;
    const [row] = await db.rows<{ dense: boolean }>(
      `SELECT max(${value}) - min(${value}) + 1 = count(*) AS dense FROM raw`,
    );
    if (row?.dense) found.add(name);
  }
  return found;
}

/** A single column that orders the rows this well (AUC) knows the answer. */
export const LEAK_AUC = 0.999;
const SUSPECT_AUC = 0.97;
const FEWEST_OF_CLASS = 5;
const MOST_LEAK_LEVELS = 100;

/** Column → AUC that it reaches alone. */
interface Leaks {
  leaks: Map<string, number>;
  /** Those that come near it, or are measures with a limit that parts the outcomes: which may be how the label was made. */
  suspects: Map<string, number>;
}

/**
 * Columns that give the label away, with the AUC each reaches alone. `relation` has `__label` (BOOLEAN) and the columns as the
 * contract types them. Area under the ROC curve by rank sums (Mann–Whitney): U / (n₁n₀), ties counted half; missing values
 * are tried at both ends, categories by their share of positives.
 */
export async function findLeaks(db: DuckDb, relation: string, candidates: readonly Candidate[]): Promise<Leaks> {
  const [classes] = await db.rows<{ yes: number; no: number }>(
    `SELECT count(*) FILTER (WHERE __label)::DOUBLE AS yes, count(*) FILTER (WHERE NOT __label)::DOUBLE AS no FROM ${relation}`,
  );
  const found: Leaks = { leaks: new Map(), suspects: new Map() };
  if (!classes || Math.min(classes.yes, classes.no) < FEWEST_OF_CLASS) return found;
  for (const candidate of candidates) {
    // Levels of a row or two sort the rows by themselves.
    const { kind, distinct, filled } = candidate;
    if (kind === 'category' && (distinct > MOST_LEAK_LEVELS || filled < distinct * 10)) continue;
    const scores = kind === 'category' ? [shareSql(candidate.sql)] : numberSql(candidate);
    let auc = 0;
    for (const score of scores) auc = Math.max(auc, await aucOf(db, relation, score));
    if (auc < SUSPECT_AUC) continue;
    const leak = auc >= LEAK_AUC && (kind === 'category' || (await isCopy(db, relation, candidate.sql)));
    (leak ? found.leaks : found.suspects).set(candidate.name, auc);
  }
  return found;
}

/** Whether a number is the same, or missing, for all of one outcome: a copy of the label, or filled in because of it. */
async function isCopy(db: DuckDb, relation: string, sql: string): Promise<boolean> {
  const [row] = await db.rows<{ least: number }>(
    `SELECT min(n)::DOUBLE AS least FROM (SELECT count(DISTINCT ${sql}) AS n FROM ${relation} WHERE __label IS NOT NULL GROUP BY __label)`,
  );
  return (row?.least ?? 0) <= 1;
}

function numberSql({ sql, nulls }: Candidate): string[] {
  const value = `CASE WHEN isfinite((${sql})::DOUBLE) THEN (${sql})::DOUBLE END`;
  return nulls === 0 ? [value] : ["'-infinity'", "'infinity'"].map((end) => `coalesce(${value}, ${end}::DOUBLE)`);
}

function shareSql(sql: string): string {
  return `avg(__label::INTEGER) OVER (PARTITION BY ${sql})`;
}

/** AUC of a score, whichever way it points: 0.02 counts as 0.98. */
async function aucOf(db: DuckDb, relation: string, score: string): Promise<number> {
  const [row] = await db.rows<{ auc: number | null }>(`WITH scored AS (
      SELECT __label AS y, ${score} AS x FROM ${relation} WHERE __label IS NOT NULL
    ), ranked AS (
      SELECT y, rank() OVER (ORDER BY x) + (count(*) OVER (PARTITION BY x) - 1) / 2 AS r FROM scored WHERE x IS NOT NULL
    ), sums AS (
      SELECT sum(r) FILTER (WHERE y) AS s, (count(*) FILTER (WHERE y))::DOUBLE AS n1, (count(*) FILTER (WHERE NOT y))::DOUBLE AS n0 FROM ranked
    ) SELECT ((s - n1 * (n1 + 1) / 2) / nullif(n1 * n0, 0))::DOUBLE AS auc FROM sums`);
  const auc = row?.auc ?? 0.5;
  return Math.max(auc, 1 - auc);
}
