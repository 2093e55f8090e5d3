/** The sources themselves: what is in their columns, and when it is known against when it is asked for. */
import type { DuckDb } from '../dataset/duckdb.ts';
import { timestampLiteral } from '../dataset/time-sql.ts';
import { fieldOutputs } from '../features/feature-columns.ts';
import { knownSql, type SourceTable, type SourceTables, sourceOf } from '../features/source-table.ts';
import type { Snapshot } from '../spec/artifacts.ts';
import type { ColumnFigures, SourceFigures } from '../spec/exploration.ts';
import type { FeatureView, SpineSpec } from '../spec/pipeline.ts';

const RULES = 5;

export async function sourceFigures(
  db: DuckDb,
  sources: SourceTables,
  snapshots: Record<string, Snapshot>,
  spine: SpineSpec,
): Promise<SourceFigures[]> {
  const figures: SourceFigures[] = [];
  for (const [name, snapshot] of Object.entries(snapshots)) {
    const source = sourceOf(sources, name, 'sources');
    figures.push({
      ...{ name, snapshot: snapshot.id, files: snapshot.partitions.length, rows: snapshot.rows },
      rejected: snapshot.quarantined,
      rules: snapshot.rules.slice(0, RULES).map(({ rule, count }) => ({ rule, count })),
      newestEvent: snapshot.newestEvent,
      columns: await columnFigures(db, source, spine.source === name ? spine : undefined),
    });
  }
  return figures;
}

/** Of the rows that had happened by asOf: what comes later is not looked at. */
async function columnFigures(db: DuckDb, source: SourceTable, spine: SpineSpec | undefined): Promise<ColumnFigures[]> {
  const names = [...source.types.keys()].filter((name) => !name.startsWith('__'));
  if (names.length === 0) return [];
  const asOf = timestampLiteral(source.asOf);
  const asked = spine && (await source.expression(spine.predictAt, 'spine.predictAt'));
  const items = names.flatMap((name, i) => {
    const column = source.column(name, 'sources');
    const known = knownSql([column]);
    const late = asked ? `${known} > (${asked.sql})::TIMESTAMP` : 'false';
    return [
      `count(${column.sql})::DOUBLE AS n${i}`,
      `approx_count_distinct(${column.sql})::DOUBLE AS d${i}`,
      `left(min(${column.sql})::VARCHAR, 40) AS lo${i}`,
      `left(max(${column.sql})::VARCHAR, 40) AS hi${i}`,
      `count(*) FILTER (WHERE ${column.sql} IS NOT NULL AND ${late})::DOUBLE AS l${i}`,
      `count(*) FILTER (WHERE ${column.sql} IS NOT NULL AND ${known} > ${asOf})::DOUBLE AS u${i}`,
    ];
  });
  const [row = {}] = await db.rows(
    `SELECT count(*)::DOUBLE AS rows, ${items.join(', ')} FROM ${source.relation}
      WHERE ${source.good} AND (__event_at IS NULL OR __event_at <= ${asOf})`,
  );
  const rows = Number(row.rows);
  const text = (value: unknown) => (value === null || value === undefined ? null : String(value));
  return names.map((name, i) => {
    const there = Number(row[`n${i}`]);
    const share = (part: unknown) => (there === 0 ? 0 : Number(part) / there);
    return {
      ...{ name, type: source.types.get(name) ?? '', missingShare: rows === 0 ? 0 : 1 - there / rows },
      ...{ distinct: Math.min(there, Number(row[`d${i}`])), min: text(row[`lo${i}`]), max: text(row[`hi${i}`]) },
      lateShare: asked ? share(row[`l${i}`]) : null,
      unknownShare: share(row[`u${i}`]),
    };
  });
}

/** By feature of a `fields` view: the share of its values that were not known yet when they were asked for. */
export async function lateFeatures(
  db: DuckDb,
  sources: SourceTables,
  spine: SpineSpec,
  views: readonly FeatureView[],
): Promise<Map<string, number>> {
  const source = sourceOf(sources, spine.source, 'spine');
  const late = new Map<string, number>();
  const asked = await source.expression(spine.predictAt, 'spine.predictAt');
  for (const view of views) {
    if (view.kind !== 'fields') continue;
    const outputs = await fieldOutputs(source, view.name, view.fields);
    if (outputs.length === 0) continue;
    const items = outputs.flatMap(({ sql, known }, i) => [
      `count(${sql})::DOUBLE AS n${i}`,
      `count(*) FILTER (WHERE (${sql}) IS NOT NULL AND ${knownSql([{ known }])} > (${asked.sql})::TIMESTAMP)::DOUBLE AS l${i}`,
    ]);
    const [row = {}] = await db.rows(`SELECT ${items.join(', ')} FROM ${source.relation}
      WHERE ${source.good} AND (${asked.sql})::TIMESTAMP < ${timestampLiteral(source.asOf)}`);
    for (const [i, { name }] of outputs.entries()) {
      const there = Number(row[`n${i}`]);
      if (there > 0) late.set(name, Number(row[`l${i}`]) / there);
    }
  }
  return late;
}

/** Columns of sources that the views name as such, as `source.column`. */
export function usedColumns(views: readonly FeatureView[]): Set<string> {
  const used = new Set<string>();
  const add = (source: string, sql: string | undefined) => {
    for (const word of sql?.match(/[A-Za-z_]\w*/g) ?? []) used.add(`${source}.${word}`);
  };
  for (const view of views) {
    if (!('source' in view)) continue;
    if ('fields' in view) for (const { expr } of view.fields) add(view.source, expr);
    if ('aggregate' in view) for (const { expr } of view.aggregate) add(view.source, expr);
  }
  return used;
}
