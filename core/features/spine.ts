/**
 * Spines: the rows to compute features for, and when. A pipeline's own spine is made of its source's rows (`ownSpine`);
 * anybody else's table of keys and times finds those rows by key (`foreignSpine`). Both give what compile.ts joins to.
 */
import { type DuckDb, identifier } from '../dataset/duckdb.ts';
import { timestampLiteral } from '../dataset/time-sql.ts';
import type { FeatureInfo } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { FeatureView, SpineSpec } from '../spec/pipeline.ts';
import type { Spine } from './compile.ts';
import { type FeatureOutput, fieldOutputs, identifiers, isJoined, type Output } from './feature-columns.ts';
import { joinKeys } from './join-keys.ts';
import { latestLookups, type Wanted } from './latest-view.ts';
import { SpineQuestions } from './questions.ts';
import { type Expression, knownSql, type SourceTable } from './source-table.ts';

export interface SpineRequest {
  spec: SpineSpec;
  views: FeatureView[];
  /** The table of `spec.source`. */
  source: SourceTable;
  /** Name of the temporary table to make. */
  table: string;
}

interface OwnSpineRequest extends SpineRequest {
  /** Columns of the source kept as text in `__slice_<column>`. */
  slices?: string[];
  /** SQL of the time that features are asked for, over `__predict_at`; that itself unless given. */
  at?: string;
  /** SQL condition over `__predict_at`. */
  when?: string;
}

/**
 * The source's own rows: table with `__row`, `__predict_at`, `__at`, key and join columns, `__label` (BOOLEAN, NULL = none),
 * `__label_known`, `__field_<feature>`, `__slice_<column>`. A row counts only where its keys and prediction time were known
 * at `__at`; values that were not known then are NULL. @throws RefitError REFIT_EXPRESSION_INVALID, REFIT_PIPELINE_INVALID
 */
export async function ownSpine(db: DuckDb, request: OwnSpineRequest): Promise<Spine> {
  const { spec, source, table, slices = [], at = '__predict_at', when } = request;
  const predictAt = await expressionOf(source, spec.predictAt, 'spine.predictAt', /^(TIMESTAMP|DATE)/, 'a time');
  const label = await expressionOf(
    source,
    spec.label,
    'spine.label',
    /^(BOOLEAN|U?(TINY|SMALL|BIG)?INT(EGER)?)$/,
    'true or false',
  );
  const labelKnownAt = await expressionOf(
    source,
    spec.labelKnownAt,
    'spine.labelKnownAt',
    /^(TIMESTAMP|DATE)/,
    'a time',
  );
  const where =
    spec.where === undefined
      ? undefined
      : await expressionOf(source, spec.where, 'spine.where', /^BOOLEAN$/, 'true or false');
  const keys = spec.key.map((name) => source.column(name, 'spine.key'));
  const columns = joinColumns(request);
  const fields = await spineFields(request);
  const masked = ({ sql, known }: Pick<Output, 'sql' | 'known'>) =>
    `CASE WHEN ${knownSql([{ known }])} <= __at THEN ${sql} END`;
  const outcome = `(${label.sql})::BOOLEAN`;
  const outcomeKnown = `greatest(coalesce((${labelKnownAt.sql})::TIMESTAMP, 'infinity'), ${knownSql([label])})`;
  const items = [
    ...[...columns].map(([name, column]) => `${masked(column)} AS ${identifier(name)}`),
    ...(source.gone ? ['l.__label', 'l.__label_known'] : [`${outcome} AS __label`, `${outcomeKnown} AS __label_known`]),
    ...fields.map((field) => `${masked(field)} AS ${identifier(`__field_${field.name}`)}`),
    ...slices.map((name) => `${source.column(name, 'slices').sql}::VARCHAR AS ${identifier(`__slice_${name}`)}`),
  ];
  await db.run(`CREATE OR REPLACE TEMP TABLE ${identifier(table)} AS
  WITH timed AS (
    SELECT *, (${predictAt.sql})::TIMESTAMP AS __predict_at FROM ${source.relation} WHERE ${source.good} ${where ? `AND (${where.sql})` : ''}
  ), asked AS (SELECT *, ${at} AS __at FROM timed WHERE isfinite(__predict_at) ${when ? `AND (${when})` : ''})
  ${source.gone ? labelsCtes(source, keys, { outcome, outcomeKnown, rowKnown: knownSql([predictAt, ...keys]) }) : ''}
  SELECT row_number() OVER () AS __row, __predict_at, __at,
    ${items.join(',\n    ')}
  FROM asked ${source.gone ? `LEFT JOIN labels l ON ${labelled(keys)}` : ''}
  WHERE ${knownSql([predictAt, ...keys])} <= __at ${source.gone ? `AND ${source.gone} > __at` : ''}`);
  return spineOf(table, columns, fields);
}

/**
 * `labels`: where rows are replaced, the label of a key and prediction time is that of the version that stands as of the run's
 * date, and was known when the first version with that very label made it known: a correction of another column does not make
 * labels late. What was deleted has none.
 */
function labelsCtes(
  source: SourceTable,
  keys: Expression[],
  { outcome, outcomeKnown, rowKnown }: Record<'outcome' | 'outcomeKnown' | 'rowKnown', string>,
): string {
  const k = keys.map((_key, i) => `__k${i}`).join(', ');
  return `, versions AS (
    SELECT ${keys.map(({ sql }, i) => `${sql} AS __k${i}`).join(', ')}, __predict_at AS __p, ${outcome} AS __own, ${outcomeKnown} AS __own_known,
      NOT isfinite(${source.gone}) AND ${rowKnown} <= ${timestampLiteral(source.asOf)} AS __stands
    FROM timed WHERE isfinite(__predict_at)
  ), standing AS (
    SELECT ${k}, __p, bool_or(__own) AS __label FROM versions WHERE __stands GROUP BY ALL
  ), labels AS (
    SELECT ${k}, __p, __label, min(__own_known) AS __label_known
    FROM versions JOIN standing USING (${k}, __p) WHERE __own = __label GROUP BY ALL
  )`;
}

const labelled = (keys: Expression[]) =>
  [...keys.map(({ sql }, i) => `${sql} = l.__k${i}`), '__predict_at = l.__p'].join(' AND ');

interface ForeignSpineRequest extends SpineRequest {
  /** Relation with `predict_at` (a time, UTC) and key columns, others are kept. */
  relation: string;
  /** Its column that numbers the rows, where it has one: it is read in place then, as often as it takes, not copied. */
  row?: string;
}

/**
 * Somebody's own table: `__row`, `__at` and all its columns. Join columns it does not bring, and features of `fields` views,
 * are looked up by the spine's key, as they were last known at predict_at. @throws RefitError REFIT_PIPELINE_INVALID
 */
export async function foreignSpine(db: DuckDb, request: ForeignSpineRequest): Promise<Spine> {
  const { spec, source, table, relation, row } = request;
  const described = await db.rows<{ column_name: string; column_type: string }>(`DESCRIBE SELECT * FROM ${relation}`);
  const types = new Map(described.map(({ column_name, column_type }) => [column_name, column_type]));
  const fields = await spineFields(request);
  const missing = [...joinColumns(request)].filter(([name]) => !types.has(name));
  const outputs: Wanted[] = [
    ...missing.map(([name, { sql, known }]) => ({ name, sql, known })),
    ...fields.map((field) => ({ ...field, name: `__field_${field.name}` })),
  ];
  const given = outputs.length > 0 ? `__given_${table}` : table;
  const kind = row === undefined ? 'TABLE' : 'VIEW';
  const number = row === undefined ? 'row_number() OVER ()' : identifier(row);
  await db.run(`CREATE OR REPLACE TEMP ${kind} ${identifier(given)} AS
  SELECT ${number} AS __row, predict_at::TIMESTAMP AS __at, * FROM ${relation}`);
  if (outputs.length > 0) {
    const by = Object.fromEntries(spec.key.map((name) => [name, name]));
    const keys = joinKeys(by, types, source, 'spine.key');
    const questions = new SpineQuestions(identifier(given));
    const lookups = await latestLookups({ source, keys, event: undefined, outputs }, questions);
    const joined = lookups.map((lookup, i) => {
      const names = identifiers(lookup.outputs.map(({ name }) => name));
      return `LEFT JOIN (SELECT __row, ${names} FROM (${lookup.sql})) l${i} USING (__row)`;
    });
    await db.run(`CREATE OR REPLACE TEMP TABLE ${identifier(table)} AS
      SELECT * FROM ${[identifier(given), ...joined].join('\n')}`);
    await db.run(`DROP ${kind} ${identifier(given)}`);
  }
  const columns = new Map([...types, ...missing.map(([name, { type }]) => [name, type] as const)]);
  return { relation: identifier(table), columns, fields: fields.map(({ feature }) => feature) };
}

function spineOf(table: string, columns: Map<string, Expression>, fields: FeatureOutput[]): Spine {
  const types = new Map([...columns].map(([name, { type }]) => [name, type]));
  const features: FeatureInfo[] = fields.map(({ feature }) => feature);
  return { relation: identifier(table), columns: types, fields: features };
}

/** Key columns, and the columns that other views join by. */
export function joinColumns({
  spec,
  views,
  source,
}: Pick<SpineRequest, 'spec' | 'views' | 'source'>): Map<string, Expression> {
  const columns = new Map(spec.key.map((name) => [name, source.column(name, 'spine.key')]));
  for (const view of views.filter(isJoined)) {
    for (const name of Object.keys(view.by)) columns.set(name, source.column(name, `features.${view.name}.by`));
  }
  return columns;
}

/** Features of the `fields` views, which are over the spine's own source. @throws RefitError REFIT_PIPELINE_INVALID */
async function spineFields({ spec, views, source }: SpineRequest): Promise<FeatureOutput[]> {
  const outputs: FeatureOutput[] = [];
  for (const view of views) {
    if (view.kind !== 'fields') continue;
    if (view.source !== spec.source) {
      throw new RefitError(
        'REFIT_PIPELINE_INVALID',
        `features.${view.name} takes fields of ${view.source}, but the spine is of ${spec.source}; use latest() to look up another source.`,
        { view: view.name },
      );
    }
    outputs.push(...(await fieldOutputs(source, view.name, view.fields)));
  }
  return outputs;
}

async function expressionOf(
  source: SourceTable,
  sql: string,
  where: string,
  type: RegExp,
  what: string,
): Promise<Expression> {
  const expression = await source.expression(sql, where);
  if (type.test(expression.type)) return expression;
  throw new RefitError(
    'REFIT_EXPRESSION_INVALID',
    `The expression ${where} is a ${expression.type}; it must give ${what}.`,
    {
      where,
      type: expression.type,
    },
  );
}
