/**
 * The table that is looked at: every row that could have been asked about by asOf, with features as they were known at its
 * prediction time. No split, no demand on labels: data that cannot be trained on yet is what one looks at.
 */
import { type DuckDb, identifier } from '../dataset/duckdb.ts';
import { timestampLiteral } from '../dataset/time-sql.ts';
import { joinViews } from '../features/compile.ts';
import { categorySql, finiteSql } from '../features/feature-columns.ts';
import { type SourceTables, sourceOf } from '../features/source-table.ts';
import { ownSpine } from '../features/spine.ts';
import type { FeatureInfo } from '../spec/artifacts.ts';
import type { FeatureView, SpineSpec } from '../spec/pipeline.ts';

export interface ExploredTable {
  features: FeatureInfo[];
  rows: number;
  labelled: number;
  positives: number;
  /** ISO UTC; null where there are no rows. */
  from: string | null;
  to: string | null;
}

export const TABLE = '__explored';
/** Column of the n-th feature: its name may be anything. */
export const columnOf = (index: number): string => `f${index}`;

/** Makes `__explored`: `asked` TIMESTAMP, `label` BOOLEAN (NULL: not known by asOf), `pick` (even over 0..999,999), features. */
export async function exploredTable(
  db: DuckDb,
  sources: SourceTables,
  { spine: spec, views, asOf }: { spine: SpineSpec; views: FeatureView[]; asOf: string },
): Promise<ExploredTable> {
  const source = sourceOf(sources, spec.source, 'spine');
  const when = `__predict_at < ${timestampLiteral(asOf)}`;
  const spine = await ownSpine(db, { spec, views, source, table: '__spine', when });
  const { relation, features } = await joinViews({ spine, views, sources });
  const values = features.map(({ name, kind }, index) => {
    const column = `f.${identifier(name)}`;
    return `${kind === 'number' ? finiteSql(column) : categorySql(column)} AS ${columnOf(index)}`;
  });
  const keys = ['__predict_at', ...spec.key].map((name) => `s.${identifier(name)}::VARCHAR`);
  await db.run(`CREATE TEMP TABLE ${TABLE} AS SELECT s.__predict_at AS asked,
      CASE WHEN s.__label_known <= ${timestampLiteral(asOf)} THEN s.__label END AS label,
      hash(${keys.join(', ')}) % 1000000 AS pick${values.map((sql) => `, ${sql}`).join('')}
    FROM __spine s JOIN ${relation} f USING (__row)`);
  const [row = {}] = await db.rows(`SELECT count(*)::DOUBLE AS rows, count(label)::DOUBLE AS labelled,
      count(*) FILTER (WHERE label)::DOUBLE AS positives,
      strftime(min(asked), '%Y-%m-%dT%H:%M:%SZ') AS first, strftime(max(asked), '%Y-%m-%dT%H:%M:%SZ') AS last FROM ${TABLE}`);
  return {
    features,
    ...{ rows: Number(row.rows), labelled: Number(row.labelled), positives: Number(row.positives) },
    from: (row.first as string | null) ?? null,
    to: (row.last as string | null) ?? null,
  };
}
