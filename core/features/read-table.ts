/**
 * Reads tables of features by column, into typed arrays: what trainers, ONNX and evaluation are fed from.
 * It does not compute features (compile.ts) and does not build row objects, which would be fifty times slower.
 */
import { tmpdir } from 'node:os';
import { type DuckDb, identifier, literal, withDuckDb } from '../dataset/duckdb.ts';
import { type FeatureInfo, SPLITS, type Split, type TrainingSet } from '../spec/artifacts.ts';
import { categorySql, finiteSql } from './feature-columns.ts';

/** Rows in the order of the file; every array is `rows` long unless it says otherwise. */
export interface FeatureTable {
  rows: number;
  /** The features that were read, in the table's order. */
  features: FeatureInfo[];
  /** Feature → float32 values, NaN = missing; there are no infinities. */
  numbers: Record<string, Float32Array>;
  /** Feature → category, null = missing; '' is null. */
  categories: Record<string, (string | null)[]>;
  /** 0 or 1; empty where the table has no `__label`. */
  label: Uint8Array;
  /** Index into SPLITS (0 train, 1 validate, 2 test); empty where the table has no `__split`. */
  split: Uint8Array;
  /** Prediction times, ms since 1970 UTC; empty where the table has no `predict_at`. */
  predictAtMs: Float64Array;
  /** Slice column → value as text, null = missing. */
  slices: Record<string, (string | null)[]>;
}

export interface ReadOptions {
  /** Only rows of these splits. */
  splits?: Split[];
  /** Only these features. */
  columns?: string[];
}

/** Reads a training set's Parquet (all of it, or some splits and features), in file order. @throws DuckDB's own errors */
export async function readTrainingSet(
  path: string,
  set: TrainingSet,
  options: ReadOptions = {},
): Promise<FeatureTable> {
  const features = set.features.filter(({ name }) => options.columns?.includes(name) ?? true);
  const splits = options.splits?.map(literal).join(', ');
  const rows = `SELECT * FROM read_parquet(${literal(path)})${splits ? ` WHERE __split IN (${splits})` : ''}`;
  return withDuckDb({ scratch: tmpdir() }, (db) => readColumns(db, `(${rows})`, features, set.slices));
}

/** Reads feature columns (and label, split, predict_at where they are) of a relation: a view's name or `(SELECT …)`. */
export async function readColumns(
  db: DuckDb,
  relation: string,
  features: FeatureInfo[],
  slices: string[] = [],
): Promise<FeatureTable> {
  const described = await db.rows<{ column_name: string }>(`DESCRIBE SELECT * FROM ${relation}`);
  const has = new Set(described.map((column) => column.column_name));
  const kinds = new Map(features.map(({ name, kind }) => [name, kind]));
  const wanted: Column[] = [
    ...features.map(({ name, kind }) => ({ to: `feature ${name}`, kind, sql: identifier(name) })),
    ...slices.map((name) => ({ to: `slice ${name}`, kind: 'category' as const, sql: sliceSql(name) })),
    ...(has.has('__label') ? [{ to: 'label', kind: 'byte' as const, sql: '__label' }] : []),
    ...(has.has('__split') ? [{ to: 'split', kind: 'byte' as const, sql: SPLIT_INDEX }] : []),
    ...(has.has('predict_at') ? [{ to: 'predict_at', kind: 'time' as const, sql: 'epoch_ms(predict_at)' }] : []),
  ];
  const { rows, values } = await readAll(db, relation, wanted);
  const pick = (kind: FeatureInfo['kind']) => features.filter((feature) => feature.kind === kind);
  return {
    rows,
    features,
    numbers: Object.fromEntries(
      pick('number').map(({ name }) => [name, values.get(`feature ${name}`) as Float32Array]),
    ),
    categories: Object.fromEntries(
      pick('category').map(({ name }) => [name, values.get(`feature ${name}`) as Categories]),
    ),
    label: (values.get('label') as Uint8Array | undefined) ?? new Uint8Array(0),
    split: (values.get('split') as Uint8Array | undefined) ?? new Uint8Array(0),
    predictAtMs: (values.get('predict_at') as Float64Array | undefined) ?? new Float64Array(0),
    slices: Object.fromEntries(slices.map((name) => [name, values.get(`slice ${name}`) as Categories])),
  };

  /** A slice that is itself a feature is read from there: `3` and not `3.0` for a whole number. */
  function sliceSql(name: string): string {
    if (has.has(`__slice_${name}`)) return identifier(`__slice_${name}`);
    return kinds.get(name) === 'number'
      ? `regexp_replace(${identifier(name)}::VARCHAR, '\\.0$', '')`
      : identifier(name);
  }
}

const SPLIT_INDEX = `list_position([${SPLITS.map(literal).join(', ')}], __split) - 1`;

type Categories = (string | null)[];
type Kind = 'number' | 'category' | 'byte' | 'time';
interface Column {
  to: string;
  kind: Kind;
  sql: string;
}

/** NaN in place of NULL spares the look at every validity bit. */
const CAST: Record<Kind, (sql: string) => string> = {
  number: (sql) => `coalesce((${finiteSql(sql)})::FLOAT, 'nan'::FLOAT)`,
  category: categorySql,
  byte: (sql) => `coalesce((${sql})::UTINYINT, 255)`,
  time: (sql) => `(${sql})::DOUBLE`,
};

const ALLOCATE: Record<Kind, (rows: number) => Float32Array | Categories | Uint8Array | Float64Array> = {
  number: (rows) => new Float32Array(rows),
  category: (rows) => new Array<string | null>(rows).fill(null),
  byte: (rows) => new Uint8Array(rows),
  time: (rows) => new Float64Array(rows),
};

/** One array a column, chunk by chunk into place. */
async function readAll(db: DuckDb, relation: string, columns: Column[]) {
  const selected = columns.map(({ kind, sql }) => CAST[kind](sql)).join(', ') || '1';
  const result = await db.connection.run(`SELECT ${selected} FROM ${relation}`);
  const rows = result.rowCount;
  const values = new Map(columns.map(({ to, kind }) => [to, ALLOCATE[kind](rows)]));
  let offset = 0;
  for (let chunk = await result.fetchChunk(); chunk && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
    for (const [index, { to, kind }] of columns.entries()) {
      const vector = chunk.getColumnVector(index);
      const target = values.get(to) as Categories | Float32Array;
      if (kind === 'category')
        for (let i = 0; i < vector.itemCount; i++) target[offset + i] = vector.getItem(i) as string;
      else (target as Float32Array).set((vector as unknown as { items: Float32Array }).items, offset);
    }
    offset += chunk.rowCount;
  }
  return { rows, values };
}
