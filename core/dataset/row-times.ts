import type { ColumnInfo } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import { nearest } from '../spec/nearest.ts';
import type { SourceSpec } from '../spec/pipeline.ts';
import { isTime, utc } from './column-types.ts';
import type { Pii } from './contract-pii.ts';
import { type DuckDb, identifier } from './duckdb.ts';
import { embed, expressionColumns } from './expression.ts';
import { reason } from './raw-table.ts';

/**
 * Derived columns, and the times of a row: when it happened and when each of its values became known. Creates the view
 * `timed`: `checked` with the derived columns, `__known_<i>` and `__event_at`.
 */

export type TimesSpec = Pick<SourceSpec, 'derive' | 'eventTime' | 'knownAt' | 'recordedAt'>;

/** Personal data among the columns, and how `checked` holds it raw for the derived columns that may see it. */
export interface PersonalColumns {
  pii: readonly Pii[];
  rawPii: ReadonlyMap<string, string>;
}

const NONE: PersonalColumns = { pii: [], rawPii: new Map() };

interface Layer {
  db: DuckDb;
  source: string;
  /** View that the next layer reads. */
  from: string;
  columns: ColumnInfo[];
  /** Column → the file's columns it is computed from; itself for one of these. */
  origins: Map<string, string[]>;
  layers: number;
  personal: PersonalColumns;
}

/** Columns with their types and known-at groups, and by group the file's columns that its time is computed from. */
export interface TimedColumns {
  columns: ColumnInfo[];
  timedBy: ReadonlyMap<string, ReadonlySet<string>>;
  /** Columns that were dropped as personal data: still judged, not written. */
  dropped: ColumnInfo[];
}

/** Creates `timed`. @throws RefitError REFIT_EXPRESSION_INVALID */
export async function addTimes(
  db: DuckDb,
  source: string,
  columns: string[],
  spec: TimesSpec,
  personal: PersonalColumns = NONE,
): Promise<TimedColumns> {
  const types = new Map(await describe(db, 'checked'));
  const groups = knownGroups(spec.knownAt ?? {});
  const known = (name: string): string[] | undefined => {
    // A column may be called `constructor`, which every object has.
    const own = Object.hasOwn(spec.knownAt ?? {}, name) ? spec.knownAt?.[name] : undefined;
    return own === undefined ? undefined : [groups.get(own.trim()) ?? STAR];
  };
  const layer: Layer = {
    db,
    source,
    from: 'checked',
    columns: columns.map((name) => ({ name, type: types.get(name) ?? '', known: known(name) ?? [STAR] })),
    origins: new Map(columns.map((name) => [name, [name]])),
    layers: 0,
    personal,
  };
  requireDerived(source, spec, personal);
  for (const step of await inOrder(layer, spec.derive)) await derive(layer, step, known);
  const names = [...layer.columns.map((column) => column.name), ...personal.rawPii.keys()];
  for (const name of Object.keys(spec.knownAt ?? {})) {
    if (name !== '*' && !names.includes(name))
      invalid(source, `knownAt.${name}`, `there is no column "${name}"${nearest(name, names)}`);
  }
  const timedBy = await addKnown(layer, groups, spec);
  const gone = personal.pii.filter(({ treatment, column }) => treatment === 'drop' && personal.rawPii.has(column));
  const dropped = gone.map(({ column }) => ({ name: column, type: '', known: known(column) ?? [STAR] }));
  return { columns: layer.columns, timedBy, dropped };
}

/** The group of the columns that knownAt does not name; there is always one. */
const STAR = '__known_0';

/** Expression → its column; sorted by name, because the order of keys must not decide what a table looks like. */
function knownGroups(knownAt: Record<string, string>): Map<string, string> {
  const groups = new Map<string, string>();
  // Without `*` the other columns were known always.
  groups.set(knownAt['*']?.trim() ?? '', STAR);
  for (const [, sql] of Object.entries(knownAt).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!groups.has(sql.trim())) groups.set(sql.trim(), `__known_${groups.size}`);
  }
  return groups;
}

/** A rejected row may hold anything, and an expression that fails on it must not fail the file: it gives NULL there. */
function lenient(sql: string): string {
  return `CASE WHEN __broken THEN TRY(${embed(sql)}) ELSE ${embed(sql)} END`;
}

interface Derived {
  name: string;
  sql: string;
  uses: string[];
}

/**
 * Derived columns, each after those it uses. Not as written: a pipeline is stored as canonical JSON, which sorts its keys.
 * @throws RefitError REFIT_EXPRESSION_INVALID for a circle
 */
async function inOrder(layer: Layer, derive: Record<string, string>): Promise<Derived[]> {
  const { db, source, columns, personal } = layer;
  const present = columns.map(({ name }) => name);
  const dropped = personal.pii.filter(({ treatment }) => treatment === 'drop').map(({ column }) => column);
  const names = Object.keys(derive).sort();
  const waiting: Derived[] = [];
  for (const name of names) {
    if (present.some((other) => other.toLowerCase() === name.toLowerCase())) {
      invalid(source, `derive.${name}`, 'the source has a column of that name already');
    }
    const sql = derive[name] ?? '';
    const where = `derive.${name}`;
    const uses = await expressionColumns(db, sql, `sources.${source}.${where}`, [...present, ...names, ...dropped]);
    const gone = uses.find((column) => dropped.includes(column) && !mayDerive(personal, column).includes(name));
    if (gone !== undefined)
      invalid(
        source,
        where,
        `column "${gone}" is dropped as PII; its contract may allow it with x-pii { "derive": ["${name}"] }`,
      );
    waiting.push({ name, sql, uses });
  }
  const ordered: Derived[] = [];
  const done = new Set([...present, ...dropped]);
  while (waiting.length > 0) {
    const next = waiting.findIndex(({ uses }) => uses.every((used) => done.has(used)));
    const [ready] = next === -1 ? [] : waiting.splice(next, 1);
    if (!ready)
      return invalid(
        source,
        `derive.${waiting[0]?.name}`,
        `it depends on itself (${waiting.map(({ name }) => name).join(', ')})`,
      );
    ordered.push(ready);
    done.add(ready.name);
  }
  return ordered;
}

async function derive(layer: Layer, { name, sql, uses }: Derived, known: Known): Promise<void> {
  const raw = [...layer.personal.rawPii].filter(
    ([column]) => uses.includes(column) && mayDerive(layer.personal, column).includes(name),
  );
  await swap(layer, raw);
  const type = await typeOf(layer, sql, `derive.${name}`);
  const time = isTime(type);
  const value = time ? utc(lenient(sql), type, 'UTC') : lenient(sql);
  await addLayer(layer, [`${value} AS ${identifier(name)}`]);
  await swap(layer, raw);
  const inherited = new Set(
    layer.columns.filter((column) => uses.includes(column.name)).flatMap((column) => column.known),
  );
  // A column that was dropped is still known when its group is.
  for (const [column] of raw) for (const group of known(column) ?? [STAR]) inherited.add(group);
  const groups = known(name) ?? (inherited.size > 0 ? [...inherited].sort() : [STAR]);
  layer.origins.set(name, originsOf(layer, uses));
  layer.columns.push({ name, type: time ? 'TIMESTAMP' : type, known: groups });
}

type Known = (name: string) => string[] | undefined;

/** Lets the raw values stand under their names for one expression, or puts the treated ones back. */
async function swap(layer: Layer, raw: [column: string, raw: string][]): Promise<void> {
  if (raw.length === 0) return;
  const there = new Set((await describe(layer.db, layer.from)).map(([column]) => column));
  const renames = raw.flatMap(([column, hidden]) => {
    const aside = `${hidden}_aside`;
    if (!there.has(hidden))
      return [`${identifier(column)} AS ${hidden}`, ...(there.has(aside) ? [`${aside} AS ${identifier(column)}`] : [])];
    return [`${hidden} AS ${identifier(column)}`, ...(there.has(column) ? [`${identifier(column)} AS ${aside}`] : [])];
  });
  const view = `swapped_${layer.layers}_${there.has(raw[0]?.[1] ?? '') ? 'raw' : 'back'}`;
  await layer.db.run(`CREATE TEMP VIEW ${view} AS SELECT * RENAME (${renames.join(', ')}) FROM ${layer.from}`);
  layer.from = view;
}

function mayDerive({ pii }: PersonalColumns, column: string): string[] {
  return pii.find((one) => one.column === column)?.derive ?? [];
}

/** @throws RefitError REFIT_EXPRESSION_INVALID for a permission that no derived column uses: most likely it is misspelt */
function requireDerived(source: string, { derive }: TimesSpec, { pii }: PersonalColumns): void {
  const names = Object.keys(derive);
  for (const { column, derive: allowed } of pii) {
    const other = allowed.find((name) => !names.includes(name));
    if (other !== undefined)
      invalid(
        source,
        `derive.${other}`,
        `the contract allows it to see "${column}", but there is no such column${nearest(other, names)}`,
      );
  }
}

function originsOf({ origins }: Layer, columns: string[]): string[] {
  return [...new Set(columns.flatMap((name) => origins.get(name) ?? []))];
}

async function addKnown(layer: Layer, groups: Map<string, string>, spec: TimesSpec): Promise<Map<string, Set<string>>> {
  const timedBy = new Map<string, Set<string>>();
  const recorded = spec.recordedAt === undefined ? undefined : recordedSql(layer, spec.recordedAt);
  const items: string[] = [];
  for (const [sql, column] of groups) {
    const key = Object.entries(spec.knownAt ?? {}).find(([, text]) => text.trim() === sql)?.[0] ?? '*';
    const known = sql === '' ? undefined : await timeSql(layer, sql, `knownAt.${key}`);
    const time = known ? `coalesce(${known.time}, 'infinity'::TIMESTAMP)` : `'-infinity'::TIMESTAMP`;
    timedBy.set(column, new Set(originsOf(layer, known?.uses ?? [])));
    items.push(`${recorded === undefined ? time : `greatest(${time}, ${recorded})`} AS ${column}`);
  }
  const event = spec.eventTime === undefined ? undefined : await timeSql(layer, spec.eventTime, 'eventTime');
  // What a broken row with no known-at of its own falls back to; see `badKnownAt`.
  items.push(`${event?.time ?? 'NULL::TIMESTAMP'} AS __event_at`, `${recorded ?? 'NULL::TIMESTAMP'} AS __noticed`);
  await addLayer(layer, items);
  await layer.db.run(`CREATE TEMP VIEW timed AS SELECT * FROM ${layer.from}`);
  return timedBy;
}

function recordedSql(layer: Layer, name: string): string {
  const column = layer.columns.find((candidate) => candidate.name === name);
  if (!column) {
    const hint = nearest(
      name,
      layer.columns.map((candidate) => candidate.name),
    );
    return invalid(layer.source, 'recordedAt', `there is no column "${name}"${hint}`);
  }
  if (!isTime(column.type)) invalid(layer.source, 'recordedAt', `column "${name}" is ${column.type}, not a time`);
  return identifier(name);
}

/** An expression that must give a time, as TIMESTAMP, and the columns it uses. */
async function timeSql(layer: Layer, sql: string, where: string): Promise<{ time: string; uses: string[] }> {
  const names = layer.columns.map(({ name }) => name);
  const uses = await expressionColumns(layer.db, sql, `sources.${layer.source}.${where}`, names);
  const type = await typeOf(layer, sql, where);
  if (type === 'DATE') return { time: `(${lenient(sql)})::TIMESTAMP`, uses };
  if (!isTime(type)) return invalid(layer.source, where, `it gives ${type}, not a time`);
  return { time: utc(lenient(sql), type, 'UTC'), uses };
}

async function typeOf(layer: Layer, sql: string, where: string): Promise<string> {
  try {
    const [[, type] = ['', '']] = await describe(layer.db, `(SELECT ${lenient(sql)} FROM ${layer.from})`);
    return type;
  } catch (error) {
    return invalid(layer.source, where, reason(error));
  }
}

async function addLayer(layer: Layer, items: string[]): Promise<void> {
  const view = `layer_${layer.layers}`;
  await layer.db.run(`CREATE TEMP VIEW ${view} AS SELECT *, ${items.join(', ')} FROM ${layer.from}`);
  layer.from = view;
  layer.layers += 1;
}

async function describe(db: DuckDb, relation: string): Promise<[name: string, type: string][]> {
  const rows = await db.rows<{ column_name: string; column_type: string }>(`DESCRIBE SELECT * FROM ${relation}`);
  return rows.map(({ column_name, column_type }) => [column_name, column_type]);
}

function invalid(source: string, where: string, why: string): never {
  const place = `sources.${source}.${where}`;
  throw new RefitError('REFIT_EXPRESSION_INVALID', `The expression ${place} is not usable: ${why}.`, {
    where: place,
    source,
  });
}

/** An expression that failed while it ran, found by running each alone; undefined when none fails by itself. */
export async function failingExpression(
  db: DuckDb,
  source: string,
  spec: TimesSpec,
  discreet = false,
): Promise<RefitError | undefined> {
  const columns = (await describe(db, 'timed')).map(([name]) => name);
  // In the order they build on one another, so that the first to fail is the cause.
  const derived = columns.filter((name) => Object.hasOwn(spec.derive, name));
  const times: [where: string, sql: string][] = Object.entries(spec.knownAt ?? {}).map(([key, sql]) => [
    `knownAt.${key}`,
    sql,
  ]);
  if (spec.eventTime !== undefined) times.push(['eventTime', spec.eventTime]);
  const from = derived.length === 0 ? 'checked' : `layer_${derived.length - 1}`;
  const probes = [
    ...derived.map((name, i) => [`derive.${name}`, `SELECT count(${identifier(name)}) FROM layer_${i}`] as const),
    ...times.map(([where, sql]) => [where, `SELECT count(${lenient(sql)}) FROM ${from}`] as const),
  ];
  for (const [where, sql] of probes) {
    const place = `sources.${source}.${where}`;
    try {
      await db.run(sql);
    } catch (error) {
      const message = `The expression ${place} fails on a row that keeps its contract: ${reason(error, discreet)}.`;
      return new RefitError(
        'REFIT_EXPRESSION_INVALID',
        message,
        { where: place, source },
        discreet ? {} : { cause: error },
      );
    }
  }
  return undefined;
}
