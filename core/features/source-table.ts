/**
 * A source's extracted table as feature views see it: which rows count as of the run's date, what type an expression has,
 * and from when its value is known. It knows nothing of views and joins.
 */
import { type DuckDb, identifier } from '../dataset/duckdb.ts';
import { embed, expressionColumns } from '../dataset/expression.ts';
import { timestampLiteral } from '../dataset/time-sql.ts';
import type { Snapshot } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';

/** A checked SQL expression over one row of a source. */
export interface Expression {
  /** Safe to stand inside a larger expression. */
  sql: string;
  /** DuckDB type name. */
  type: string;
  /** TIMESTAMP columns of the source whose greatest is when the value is known; none = always. */
  known: string[];
}

export interface SourceTable {
  db: DuckDb;
  name: string;
  relation: string;
  asOf: string;
  /** Column as spelled in the source → its DuckDB type. */
  types: Map<string, string>;
  /** SQL predicate: the row keeps its contract, as far as is known at asOf. */
  good: string;
  /** SQL: from when on the row no longer counts, deleted or replaced as far as was known by asOf; undefined where no row ends. */
  gone: string | undefined;
  /** The source's own event time, absent for a reference table. */
  event: Expression | undefined;
  /** Expressions checked so far, by their place in the pipeline. */
  checked: Map<string, string>;
  /** Checks an expression; `where` is its place in the pipeline. @throws RefitError REFIT_EXPRESSION_INVALID */
  expression(sql: string, where: string): Promise<Expression>;
  /** A column by name. @throws RefitError REFIT_PIPELINE_INVALID */
  column(name: string, where: string): Expression;
}

/** When a row as such was known: the group that `knownAt` calls `*`. */
export const ROW_KNOWN = '__known_0';

export type SourceTables = ReadonlyMap<string, SourceTable>;

/** Opens the relation of a snapshot (a view or table of that database) for feature views as of a run's date. */
export async function openSource(db: DuckDb, snapshot: Snapshot, relation: string, asOf: string): Promise<SourceTable> {
  const infos = new Map(snapshot.columns.map((column) => [column.name, column]));
  const names = snapshot.columns.map(({ name }) => name).filter((name) => !name.startsWith('__'));
  // Types are asked of an empty copy: binding against a view over many Parquet files reads all their footers.
  const shape = identifier(`__shape_${snapshot.source}`);
  await db.run(`CREATE OR REPLACE TEMP TABLE ${shape} AS SELECT * FROM ${relation} LIMIT 0`);
  const described = await db.rows<{ column_name: string; column_type: string }>(`DESCRIBE ${shape}`);
  const types = new Map(described.map(({ column_name, column_type }) => [column_name, column_type]));
  const checked = new Map<string, string>();
  const known = (columns: string[]) => [...new Set(columns.flatMap((name) => infos.get(name)?.known ?? []))].sort();
  // A reference table is one whose rows have no event time; where all rows were deleted, or none came yet, nothing says that it is.
  const first = (condition: string) => `(SELECT count(*) FROM (SELECT 1 FROM ${relation} WHERE ${condition} LIMIT 1))`;
  const [events] = await db.rows<{ any: boolean }>(
    `SELECT ${first('__event_at IS NOT NULL')} > 0 OR ${first('true')} = 0 AS any`,
  );

  return {
    db,
    name: snapshot.source,
    relation,
    asOf,
    types,
    good: `__bad_known_at > ${timestampLiteral(asOf)}`,
    gone: snapshot.ends
      ? `(CASE WHEN __gone_at <= ${timestampLiteral(asOf)} THEN __gone_at ELSE 'infinity'::TIMESTAMP END)`
      : undefined,
    // An event counts from when its row was known: the columns that knownAt does not name.
    event: events?.any
      ? { sql: '__event_at', type: 'TIMESTAMP', known: infos.get('__event_at')?.known ?? [ROW_KNOWN] }
      : undefined,
    checked,
    async expression(sql, where) {
      const columns = await expressionColumns(db, sql, where, names);
      const type = await typeOf(db, shape, sql, where);
      checked.set(where, embed(sql));
      return { sql: embed(sql), type, known: known(columns) };
    },
    column(name, where) {
      const type = infos.has(name) ? types.get(name) : undefined;
      if (type === undefined) {
        throw new RefitError(
          'REFIT_PIPELINE_INVALID',
          `${where} names "${name}", which is no column of ${snapshot.source}.`,
          {
            where,
            column: name,
            source: snapshot.source,
            columns: names,
          },
        );
      }
      return { sql: identifier(name), type, known: known([name]) };
    },
  };
}

async function typeOf(db: DuckDb, shape: string, sql: string, where: string): Promise<string> {
  try {
    const [row] = await db.rows<{ column_type: string }>(`DESCRIBE SELECT ${embed(sql)} AS value FROM ${shape}`);
    return row?.column_type ?? 'NULL';
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    throw new RefitError(
      'REFIT_EXPRESSION_INVALID',
      `The expression ${where} is not usable: ${reason}`,
      { where },
      { cause: error },
    );
  }
}

/** SQL for the time from which all of these are known: `greatest` of their known columns, '-infinity' where always. */
export function knownSql(expressions: readonly Pick<Expression, 'known'>[]): string {
  const columns = knownColumns(expressions);
  if (columns.length === 0) return "'-infinity'::TIMESTAMP";
  return columns.length === 1 ? (columns[0] as string) : `greatest(${columns.join(', ')})`;
}

/** The distinct known columns of several expressions, as identifiers in order: equal lists = equal known times. */
export function knownColumns(expressions: readonly Pick<Expression, 'known'>[]): string[] {
  return [...new Set(expressions.flatMap(({ known }) => known))].sort().map(identifier);
}

/** A view's source among those that were extracted. @throws RefitError REFIT_PIPELINE_INVALID */
export function sourceOf(sources: SourceTables, name: string, where: string): SourceTable {
  const source = sources.get(name);
  if (source) return source;
  throw new RefitError('REFIT_PIPELINE_INVALID', `${where} reads "${name}", which is no source of the pipeline.`, {
    where,
    source: name,
    sources: [...sources.keys()],
  });
}
