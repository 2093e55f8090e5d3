import { type DuckDb, identifier } from '../dataset/duckdb.ts';
import { isoSql, timestampLiteral } from '../dataset/time-sql.ts';
import { identifiers } from './feature-columns.ts';
import type { MaterializeInput } from './materialize.ts';
import type { OnlineValue } from './online-store.ts';
import { type FeatureContext, withSources } from './open-sources.ts';
import { type SourceTables, sourceOf } from './source-table.ts';
import { ownSpine } from './spine.ts';

/** A spine row to come, as it was known at asOf, next to what happened. */
export interface UpcomingEntity {
  /** Key columns as text, as the online store takes them. */
  key: Record<string, string>;
  /** ISO UTC. */
  predictAt: string;
  /** The spine's own features. */
  fields: Record<string, OnlineValue>;
  /** What happened in the end, read from the data beyond asOf; null where nothing is known. */
  label: boolean | null;
}

/**
 * The next spine rows to be predicted after asOf, in order of time and key. What is known of them is as of asOf; only the
 * label looks ahead. @throws RefitError REFIT_PIPELINE_INVALID, REFIT_EXPRESSION_INVALID, REFIT_STORE_CORRUPT
 */
export function upcomingEntities(
  input: Omit<MaterializeInput, 'pipeline'> & { count: number },
  context: FeatureContext,
): Promise<UpcomingEntity[]> {
  return withSources(input, context, (db, sources) => listUpcoming(db, sources, input));
}

async function listUpcoming(
  db: DuckDb,
  sources: SourceTables,
  request: Parameters<typeof upcomingEntities>[0],
): Promise<UpcomingEntity[]> {
  const { spine: spec, views, count } = request;
  const source = sourceOf(sources, spec.source, 'spine');
  const now = timestampLiteral(request.asOf);
  const when = `__predict_at > ${now} AND __predict_at <= ${now} + INTERVAL 7 DAY`;
  const spine = await ownSpine(db, { spec, views, source, table: '__next', at: now, when });
  const names = spine.fields.map(({ name }) => name);
  const columns = [
    ...spec.key.map((key) => `${identifier(key)}::VARCHAR`),
    isoSql('__predict_at'),
    '__label',
    ...names.map((name) => identifier(`__field_${name}`)),
  ];
  const result = await db.connection.runAndReadAll(
    `SELECT ${columns.join(', ')} FROM __next ORDER BY __predict_at, ${identifiers(spec.key)} LIMIT ${count}`,
  );
  return result.getRows().map((row) => {
    const [predictAt, label, ...fields] = row.slice(spec.key.length);
    return {
      key: Object.fromEntries(spec.key.map((name, i) => [name, String(row[i])])),
      predictAt: String(predictAt),
      fields: Object.fromEntries(names.map((name, i) => [name, fields[i] as OnlineValue])),
      label: label as boolean | null,
    };
  });
}
