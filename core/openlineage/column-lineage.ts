/**
 * Which columns a feature is made of. What cannot be told for certain is left out: a column without an entry is one of which
 * nothing is claimed.
 */
import type { DuckDb } from '../dataset/duckdb.ts';
import { expressionColumns } from '../dataset/expression.ts';
import type { FeatureInfo, Snapshot } from '../spec/artifacts.ts';
import type { FeatureView, PipelineSpec, SourceSpec } from '../spec/pipeline.ts';
import type { DatasetName } from './datasets.ts';

interface InputField extends DatasetName {
  field: string;
  transformations: { type: 'DIRECT' | 'INDIRECT'; subtype?: string; description?: string; masking?: boolean }[];
}
export type ColumnLineage = Record<string, { inputFields: InputField[] }>;

type Columns = Record<string, Pick<Snapshot, 'columns'>>;

/** Columns of a snapshot ← columns of its raw files. `columns`: of the snapshot; derived ones may use earlier ones. */
export async function snapshotLineage(
  db: DuckDb,
  raw: DatasetName,
  spec: SourceSpec,
  columns: Snapshot['columns'],
): Promise<ColumnLineage> {
  const derived = Object.keys(spec.derive);
  const made = new Map(
    columns.filter(({ name }) => isOwn(name) && !derived.includes(name)).map(({ name }) => [name, [name]]),
  );
  const lineage: ColumnLineage = {};
  for (const [name] of made)
    lineage[name] = { inputFields: [{ ...raw, field: name, transformations: [{ type: 'DIRECT' }] }] };
  for (const [name, sql] of Object.entries(spec.derive)) {
    const used = await columnsOf(db, sql, [...made.keys(), ...derived]);
    if (used === undefined) continue;
    const origins = [...new Set(used.flatMap((column) => made.get(column) ?? []))];
    made.set(name, origins);
    const transformations = [{ type: 'DIRECT' as const, subtype: 'TRANSFORMATION', description: sql }];
    lineage[name] = { inputFields: origins.map((field) => ({ ...raw, field, transformations })) };
  }
  return lineage;
}

/** Columns of the training set ← columns of the snapshots: keys, time, label, and the features of the views. */
export async function trainingSetLineage(
  db: DuckDb,
  spec: Pick<PipelineSpec, 'spine' | 'features'>,
  features: readonly FeatureInfo[],
  snapshots: Columns,
  nameOf: (source: string) => DatasetName,
): Promise<ColumnLineage> {
  const { spine } = spec;
  const lineage: ColumnLineage = {};
  const claim = async (name: string, parts: Part[]) => {
    const fields = await inputFields(db, parts, snapshots, nameOf);
    if (fields && fields.length > 0) lineage[name] = { inputFields: fields };
  };
  const own = (sql: string): Part[] => [{ source: spine.source, sql, use: directOf(sql) }];
  for (const key of spine.key) await claim(key, own(key));
  await claim('predict_at', own(spine.predictAt));
  await claim('__label', own(spine.label));
  for (const { name, view } of features) {
    const parts = featureParts(spec, features, { name, view });
    if (parts) await claim(name, parts);
  }
  return lineage;
}

interface Part {
  source: string;
  sql: string;
  use: InputField['transformations'][number];
}

const directOf = (sql: string): Part['use'] =>
  /^\w+$/.test(sql)
    ? { type: 'DIRECT', subtype: 'IDENTITY' }
    : { type: 'DIRECT', subtype: 'TRANSFORMATION', description: sql };

/** What a feature is computed from, through the features that it is made of; undefined where that cannot be told. */
function featureParts(
  spec: Pick<PipelineSpec, 'spine' | 'features'>,
  features: readonly FeatureInfo[],
  { name, view }: Pick<FeatureInfo, 'name' | 'view'>,
): Part[] | undefined {
  const declared = spec.features.find((one) => one.name === view);
  if (!declared) return undefined;
  if (declared.kind === 'calendar') {
    const part = declared.parts.find((one) => outputNames(one).includes(name));
    const use: Part['use'] = {
      type: 'DIRECT',
      subtype: 'TRANSFORMATION',
      description: `${part?.part} in ${declared.zone}`,
    };
    return part && [{ source: spec.spine.source, sql: spec.spine.predictAt, use }];
  }
  if (declared.kind !== 'derived') return partsOf(declared, name, spec.spine.source);
  const field = declared.fields.find((one) => one.name === name);
  const of = field?.of.map((one) => features.find((feature) => feature.name === one && feature.view !== view));
  const parts = of?.map((feature) => feature && featureParts(spec, features, feature));
  return parts?.every((one) => one !== undefined) ? parts.flat() : undefined;
}

const outputNames = ({ name, cyclical }: { name: string; cyclical?: unknown }) =>
  cyclical === undefined ? [name] : [`${name}_sin`, `${name}_cos`];

type SourceView = Exclude<FeatureView, { kind: 'calendar' | 'derived' }>;

/** What a feature is computed from; undefined for a kind of view, or a name, that this code does not know. */
function partsOf(view: SourceView, feature: string, spine: string): Part[] | undefined {
  const joins = (by: Record<string, string>): Part[] =>
    Object.entries(by).flatMap(([left, right]) => [
      { source: spine, sql: left, use: { type: 'INDIRECT', subtype: 'JOIN' } },
      { source: view.source, sql: right, use: { type: 'INDIRECT', subtype: 'JOIN' } },
    ]);
  const on = (sql: string | undefined): Part[] =>
    sql === undefined ? [] : [{ source: view.source, sql, use: { type: 'INDIRECT', subtype: 'WINDOW' } }];
  if (view.kind === 'fields' || view.kind === 'latest') {
    const field = view.fields.find((one) => outputNames(one).includes(feature));
    if (!field) return undefined;
    const use =
      field.cyclical === undefined ? directOf(field.expr) : { ...directOf(field.expr), subtype: 'TRANSFORMATION' };
    const value = { source: view.source, sql: field.expr, use };
    return view.kind === 'fields' ? [value] : [value, ...joins(view.by), ...on(view.on)];
  }
  if (view.kind !== 'window') return undefined;
  const aggregate = view.aggregate.find(({ name }) => name === feature);
  if (!aggregate) return undefined;
  const description = `${aggregate.fn}(${aggregate.expr ?? '*'}) over ${view.over}`;
  const use: Part['use'] = { type: 'DIRECT', subtype: 'AGGREGATION', description };
  const value = aggregate.expr === undefined ? [] : [{ source: view.source, sql: aggregate.expr, use }];
  return [...value, ...joins(view.by), ...on(view.on)];
}

/** One entry a column, with all its uses; undefined where one of the expressions cannot be told. */
async function inputFields(
  db: DuckDb,
  parts: readonly Part[],
  snapshots: Columns,
  nameOf: (source: string) => DatasetName,
): Promise<InputField[] | undefined> {
  const found = new Map<string, InputField>();
  for (const { source, sql, use } of parts) {
    const known = snapshots[source]?.columns.map(({ name }) => name).filter(isOwn) ?? [];
    const columns = await columnsOf(db, sql, known);
    if (columns === undefined) return undefined;
    for (const field of columns) {
      const key = `${source} ${field}`;
      const entry = found.get(key) ?? { ...nameOf(source), field, transformations: [] };
      if (!entry.transformations.some((one) => JSON.stringify(one) === JSON.stringify(use)))
        entry.transformations.push(use);
      found.set(key, entry);
    }
  }
  return [...found.values()];
}

const isOwn = (name: string) => !name.startsWith('__');

async function columnsOf(db: DuckDb, sql: string, names: readonly string[]): Promise<string[] | undefined> {
  return expressionColumns(db, sql, 'lineage', names).catch(() => undefined);
}
