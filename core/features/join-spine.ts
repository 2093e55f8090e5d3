/**
 * Features for anybody's table of keys and times: the offline join of a run (compile.ts) with a foreign spine (spine.ts), from
 * file to file. Rows keep their order and their columns; each feature of the pipeline is one more column.
 */
import { type DuckDb, identifier, literal } from '../dataset/duckdb.ts';
import { expressionColumns } from '../dataset/expression.ts';
import type { FeatureInfo, Snapshot } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { FeatureView, SpineSpec } from '../spec/pipeline.ts';
import { joinViews, type Spine } from './compile.ts';
import { fieldOutputs, isJoined } from './feature-columns.ts';
import { type FeatureContext, withSources } from './open-sources.ts';
import { preferOwnRows } from './own-rows.ts';
import { type SourceTable, type SourceTables, sourceOf } from './source-table.ts';
import { foreignSpine } from './spine.ts';
import { openSpineFile, type SpineFile, type TableFile } from './spine-file.ts';

export interface SpineJoinInput {
  spine: SpineSpec;
  views: FeatureView[];
  snapshots: Record<string, Snapshot>;
  /** Nothing known later counts, whatever a row's predict_at. Canonical. */
  asOf: string;
  /** `predict_at` (UTC) and the key columns: those that views join by, or the pipeline's own, by which those are looked up. */
  from: TableFile;
  to: TableFile;
}

export interface SpineJoin {
  rows: number;
  /** All features, in the pipeline's order. */
  features: FeatureInfo[];
  /** Features that the spine brings as columns of its own: kept as given. */
  given: string[];
  /** Features that are empty: the spine has neither the pipeline's key nor the columns they are made of. */
  empty: string[];
}

/**
 * Writes the joined table. Spines may repeat keys and times, be in any order, and name entities that nobody knows (null).
 * @throws RefitError REFIT_USAGE (the spine lacks columns, or has a column named like a feature), REFIT_PIPELINE_INVALID,
 * REFIT_EXPRESSION_INVALID, REFIT_STORE_CORRUPT
 */
export function joinSpine(input: SpineJoinInput, context: FeatureContext): Promise<SpineJoin> {
  return withSources(input, context, (db, sources) => join(db, sources, input));
}

async function join(db: DuckDb, sources: SourceTables, input: SpineJoinInput): Promise<SpineJoin> {
  const { spine: spec, views, to } = input;
  const source = sourceOf(sources, spec.source, 'spine');
  const file = await openSpineFile(db, input.from);
  const has = columnFinder(file.columns.keys());
  const given = givenFeatures(views, has);
  const { spine, empty } = hasAll(spec.key, has)
    ? { spine: await keyedSpine(db, input, source, file), empty: [] }
    : await keylessSpine(db, input, source, file);
  const joined = await joinViews({ spine, views, sources });
  const added = joined.features.filter(({ name }) => !given.includes(name));
  refuseTaken(added, has);
  // Without a time there is nothing to know: a count is not 0 but missing.
  const names = added.map(({ name }) => identifier(name));
  const values = added.map(
    ({ name }) => `CASE WHEN ${file.time} IS NOT NULL THEN f.${identifier(name)} END AS ${identifier(name)}`,
  );
  const own = [...file.columns.keys()].map((name) => {
    const timed = name === 'predict_at' && to.format === 'parquet' && input.from.format === 'csv';
    return timed ? `${file.time} AS ${identifier(name)}` : `g.${identifier(name)}`;
  });
  const position = identifier(file.position);
  const { delimiter = ',', compression = 'none' } = to;
  const options =
    to.format === 'csv'
      ? `FORMAT csv, HEADER, DELIMITER ${literal(delimiter)}, COMPRESSION ${compression}`
      : 'FORMAT parquet, COMPRESSION zstd';
  await db.run(`COPY (SELECT ${[...own, ...values].join(', ')}
    FROM ${file.table} g JOIN (SELECT ${['__row', ...names].join(', ')} FROM ${joined.relation}) f ON f.__row = g.${position}
    ORDER BY g.${position}) TO ${literal(to.path)} (${options})`);
  const [row] = await db.rows<{ n: number }>(`SELECT count(*)::DOUBLE AS n FROM ${file.table}`);
  return { rows: row?.n ?? 0, features: joined.features, given, empty };
}

/** The pipeline's key is there: whatever the spine does not bring is looked up by it. */
async function keyedSpine(
  db: DuckDb,
  { spine: spec, views }: SpineJoinInput,
  source: SourceTable,
  file: SpineFile,
): Promise<Spine> {
  const relation = relationOf(file, [...spec.key, ...joinedBy(views)]);
  const spine = await foreignSpine(db, { spec, views, source, table: '__joined_spine', relation, row: file.position });
  const has = columnFinder(file.columns.keys());
  const joined = joinedBy(views).filter((name) => has(name) === undefined);
  const lookedUp = [...joined, ...spine.fields.map(({ name }) => `__field_${name}`)];
  return lookedUp.length === 0 ? spine : preferOwnRows(db, { spec, views, source, spine, lookedUp });
}

/** Only the views' keys are there: fields of the spine's own row are made of the columns that it brings, else empty. */
async function keylessSpine(db: DuckDb, { spine: spec, views }: SpineJoinInput, source: SourceTable, file: SpineFile) {
  const has = columnFinder(file.columns.keys());
  const missing = joinedBy(views).filter((name) => has(name) === undefined);
  if (missing.length > 0) throw lacking(views, spec, missing, [...file.columns.keys()]);
  const outputs = await fieldsFromColumns(db, views, source, has);
  // Values as the source types them, so that an expression means the same: text of a CSV file becomes a number.
  const typed = [...new Set(outputs.flatMap(({ columns }) => columns))].map((name) => {
    return `try_cast(${identifier(has(name) ?? name)} AS ${source.types.get(name)}) AS ${identifier(name)}`;
  });
  const fields = outputs.map(({ name, sql }) => `${sql} AS ${identifier(`__field_${name}`)}`);
  const relation = relationOf(file, joinedBy(views), { fields, typed });
  const spine = await foreignSpine(db, {
    spec: { ...spec, key: [] },
    views: views.filter(isJoined),
    source,
    table: '__joined_spine',
    relation,
    row: file.position,
  });
  const empty = outputs.filter(({ name, made }) => !made && has(name) === undefined).map(({ name }) => name);
  return { spine: { ...spine, fields: outputs.map(({ feature }) => feature) }, empty };
}

/** Features of the `fields` views over the columns that are there; `made`: all that one is made of. */
async function fieldsFromColumns(db: DuckDb, views: FeatureView[], source: SourceTable, has: Finder) {
  const names = [...source.types.keys()].filter((name) => !name.startsWith('__'));
  const found = [];
  for (const view of views) {
    if (view.kind !== 'fields') continue;
    for (const field of view.fields) {
      const columns = await expressionColumns(db, field.expr, `features.${view.name}.${field.name}`, names);
      const made = hasAll(columns, has);
      for (const { name, sql, feature } of await fieldOutputs(source, view.name, [field])) {
        found.push({ name, feature, made, sql: made ? sql : emptyOf(feature), columns: made ? columns : [] });
      }
    }
  }
  return found;
}

const emptyOf = ({ kind }: FeatureInfo) => (kind === 'number' ? 'NULL::FLOAT' : 'NULL::VARCHAR');

/** `position`, `predict_at`, those of the named columns that are there, and `fields`: SQL over `typed`, which is SQL over the file. */
function relationOf(
  { table, position, time, columns }: SpineFile,
  names: string[],
  { fields, typed }: { fields: string[]; typed: string[] } = { fields: [], typed: [] },
): string {
  const has = columnFinder(columns.keys());
  const there = [...new Set(names)].filter((name) => has(name) !== undefined);
  // By names of their own: a column may stand among the typed ones too.
  const own = there.map((name, i) => `${identifier(has(name) ?? name)} AS __by_${i}`);
  const given = there.map((name, i) => `__by_${i} AS ${identifier(name)}`);
  const row = identifier(position);
  return `(SELECT ${[row, '__time AS predict_at', ...given, ...fields].join(', ')}
    FROM (SELECT ${[row, `${time} AS __time`, ...own, ...typed].join(', ')} FROM ${table}))`;
}

type Finder = (name: string) => string | undefined;

/** A column's own spelling by name: SQL does not tell case apart. */
function columnFinder(names: Iterable<string>): Finder {
  const spelled = new Map([...names].map((name) => [name.toLowerCase(), name]));
  return (name) => spelled.get(name.toLowerCase());
}

const hasAll = (names: string[], has: Finder) => names.every((name) => has(name) !== undefined);

function joinedBy(views: FeatureView[]): string[] {
  return [...new Set(views.filter(isJoined).flatMap(({ by }) => Object.keys(by)))];
}

/** Features that are nothing but a column of the spine's own row, and that the spine brings. */
function givenFeatures(views: FeatureView[], has: Finder): string[] {
  return views.flatMap((view) => {
    if (view.kind !== 'fields') return [];
    const plain = view.fields.filter(({ name, expr, cyclical }) => name === expr.trim() && cyclical === undefined);
    return plain.map(({ name }) => name).filter((name) => has(name) === name);
  });
}

/** @throws RefitError REFIT_USAGE */
function refuseTaken(features: FeatureInfo[], has: Finder): void {
  const taken = features.find(({ name }) => has(name) !== undefined);
  if (!taken) return;
  const column = has(taken.name);
  throw new RefitError(
    'REFIT_USAGE',
    `The spine has a column "${column}", and a feature of ${taken.view} is called ${taken.name}: rename or drop the column.`,
    { column, view: taken.view },
  );
}

function lacking(views: FeatureView[], spec: SpineSpec, missing: string[], columns: string[]): RefitError {
  const [first = ''] = missing;
  const view = views.find((one) => isJoined(one) && first in one.by)?.name;
  const others = missing.length > 1 ? ` (and ${missing.slice(1).join(', ')})` : '';
  return new RefitError(
    'REFIT_USAGE',
    `The spine has no column "${first}"${others}, by which ${view} is joined, and no ${spec.key.join(', ')} to look it up by.`,
    { missing, columns },
  );
}
