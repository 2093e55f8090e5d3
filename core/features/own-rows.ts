import { type DuckDb, identifier } from '../dataset/duckdb.ts';
import type { FeatureView, SpineSpec } from '../spec/pipeline.ts';
import type { Spine } from './compile.ts';
import { identifiers } from './feature-columns.ts';
import { joinKeys } from './join-keys.ts';
import type { SourceTable } from './source-table.ts';
import { ownSpine } from './spine.ts';

interface OwnRowsRequest {
  spec: SpineSpec;
  views: FeatureView[];
  source: SourceTable;
  /** A foreign spine with the pipeline's key. */
  spine: Spine;
  /** Its columns that were looked up by that key. */
  lookedUp: string[];
}

/**
 * A foreign spine in which a row with the key and the time of one of the pipeline's own rows has that very row's values. A key may
 * stand for several rows (a flight number that flies twice a day); training takes each for itself, and so does this.
 * @throws RefitError REFIT_EXPRESSION_INVALID, REFIT_PIPELINE_INVALID
 */
export async function preferOwnRows(db: DuckDb, request: OwnRowsRequest): Promise<Spine> {
  const { spec, views, source, spine, lookedUp } = request;
  const when = `__predict_at IN (SELECT __at FROM ${spine.relation})`;
  await ownSpine(db, { spec, views, source, table: '__own_rows', when });
  const by = Object.fromEntries(spec.key.map((name) => [name, name]));
  const keys = joinKeys(by, spine.columns, source, 'spine.key');
  const matching = keys.map(({ spineSql }, i) => `${spineSql} = o.__k${i}`).join(' AND ');
  const values = lookedUp.map((name, i) => {
    const column = identifier(name);
    return `CASE WHEN o.__own_at IS NULL THEN s.${column} ELSE o.__own_${i} END AS ${column}`;
  });
  await db.run(`CREATE OR REPLACE TEMP TABLE __matched_spine AS
    WITH own AS (
      SELECT ${keys.map(({ sourceSql }, i) => `${sourceSql} AS __k${i}`).join(', ')}, __at AS __own_at,
        ${lookedUp.map((name, i) => `${identifier(name)} AS __own_${i}`).join(', ')}
      FROM __own_rows
      QUALIFY row_number() OVER (PARTITION BY ${keys.map(({ sourceSql }) => sourceSql).join(', ')}, __at ORDER BY ${identifiers(lookedUp)}) = 1
    )
    SELECT s.* EXCLUDE (${identifiers(lookedUp)}), ${values.join(', ')}
    FROM ${spine.relation} s LEFT JOIN own o ON ${matching} AND s.__at = o.__own_at`);
  return { ...spine, relation: '__matched_spine' };
}
