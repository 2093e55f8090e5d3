import { RefitError } from './errors.ts';
import type {
  FeatureView,
  GateSpec,
  ModelSpec,
  PipelineSpec,
  PromoteSpec,
  ScheduleSpec,
  SearchSpec,
  SourceSpec,
  SpineSpec,
  TableSpec,
} from './pipeline.ts';
import type { SelectSpec, TransformSpec } from './transforms.ts';

/**
 * How a pipeline is written. Each function returns plain JSON with the defaults filled in, so that a pipeline is data: it
 * can be hashed, stored and compared. No closures survive.
 */

/** A source as written: its contract is still the name of a JSON file beside the pipeline. */
export type SourceDraft = Omit<SourceSpec, 'contract'> & { contract: string };
/** What `definePipeline` returns: a `PipelineSpec` whose contracts are still file names. */
export type PipelineDraft = Omit<PipelineSpec, 'sources'> & { sources: Record<string, SourceDraft> };

interface SourceOptions {
  /** JSON Schema file of one row, beside the pipeline. */
  contract: string;
  /** IANA zone of times written without one. Default: UTC. */
  zone?: string;
  /** New columns as SQL expressions; a later one may use an earlier one. */
  derive?: Record<string, string>;
  /** SQL: when a row happened. Leave out for reference tables. */
  eventTime?: string;
  /** SQL by column: when its value became known; `*` for all others. Leave out for what was always known. */
  knownAt?: Record<string, string>;
  /** Column that says when a row was recorded, for rows that come late. */
  recordedAt?: string;
  /** Share of rows that may break the contract. Default: 0.01. */
  maxBadShare?: number;
  /** The newest row may be at most this much older than asOf. */
  freshness?: string;
  /** Rows are changes (insert, update, delete) of entities, in any file and order: `{ key, op, version, time }`, all columns. */
  changes?: { key: string | string[]; op?: string; version?: string; time?: string };
  /**
   * What a changed file means. Default: a correction, known from when a run first saw it, so that runs as of earlier dates see what
   * was there before. 'replace': it was always so.
   */
  corrections?: 'replace';
}

const source =
  (format: SourceSpec['format']) =>
  (path: string, { changes, ...options }: SourceOptions): SourceDraft => ({
    format,
    path,
    zone: 'UTC',
    derive: {},
    maxBadShare: 0.01,
    ...options,
    ...(changes ? { changes: { ...changes, key: [changes.key].flat() } } : {}),
  });

/**
 * Parquet files: a path or a glob, relative to the project's root or `s3://bucket/…`; each file is a partition. A folder named
 * `year=2013` in the path is a column `year`.
 */
export const parquet = source('parquet');
/** CSV files with a header; `.gz` and `.zst` by their names. */
export const csv = source('csv');
/** JSON lines, one object a line, with the fields that the contract names; `.gz` and `.zst` by their names. */
export const jsonl = source('jsonl');

interface TableOptions extends SourceOptions {
  /** Table or view, e.g. `shop.orders`. */
  table?: string;
  /** Instead of a table: an SQL query. */
  query?: string;
  /** Column (a time) that cuts the rows into partitions, so that a new month copies only itself. Default: all is one partition. */
  partitionBy?: string;
  /** Length of a partition: `1h`, `1d`, `1w`, `1mo`, `1y`. Default: a month. */
  every?: NonNullable<TableSpec['every']>;
  /** Column that grows with every change of a row (`updated_at`): partitions without a newer one are not copied again. */
  version?: string;
}

/** A table of a DuckDB file: `duckdb('shop.duckdb', { table: 'orders', … })`. */
export function duckdb(path: string, options: TableOptions): SourceDraft {
  const { table, rest } = tableOf('duckdb', options);
  return { ...source('duckdb')(path, rest), table };
}

/** A table of PostgreSQL; `url` names the environment variable with the address: `postgres({ url: 'SHOP_URL', table: 'orders', … })`. */
export function postgres({ url, ...options }: TableOptions & { url: string }): SourceDraft {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(url)) {
    // Not repeated: it may hold a password.
    const message =
      'postgres({ url }) takes the name of an environment variable, e.g. SHOP_URL, not the address itself';
    throw new RefitError('REFIT_PIPELINE_INVALID', message);
  }
  const { table, rest } = tableOf('postgres', options);
  return { ...source('postgres')(`postgres://$${url}/${table.name ?? 'query'}`, rest), table: { ...table, url } };
}

function tableOf(
  kind: string,
  { table, query, partitionBy, every, version, ...rest }: TableOptions,
): { table: TableSpec; rest: SourceOptions } {
  if ((table === undefined) === (query === undefined)) {
    throw new RefitError('REFIT_PIPELINE_INVALID', `${kind}() takes a table or a query, one of the two`);
  }
  if (every !== undefined && partitionBy === undefined) {
    throw new RefitError('REFIT_PIPELINE_INVALID', `${kind}() takes \`every\` together with \`partitionBy\``);
  }
  const named = { name: table, query: query?.replace(/;\s*$/, ''), by: partitionBy, every, version };
  const given = Object.entries(named).filter(([, value]) => value !== undefined);
  return { table: Object.fromEntries(given) as TableSpec, rest };
}

type ModelOptions = Partial<Omit<ModelSpec, 'trainer'>>;

const MODEL_DEFAULTS = { objective: 'binary', seed: 20_131_001, params: {}, resources: 'cpu' } as const;

/** Gradient-boosted trees by LightGBM; `params` are LightGBM's own, e.g. `{ num_leaves: 63, learning_rate: 0.05 }`. */
export function gbdt(options: ModelOptions = {}): ModelSpec {
  const rounds = options.rounds ?? 200;
  // Twenty checkpoints in a training: a crash costs at most a twentieth of it.
  const chunk = options.chunk ?? Math.max(10, Math.ceil(rounds / 20));
  return { trainer: 'gbdt', ...MODEL_DEFAULTS, rounds, chunk, earlyStopping: 30, ...options };
}

/** Logistic regression on standardised numbers and one-hot categories. */
export function logistic(options: ModelOptions = {}): ModelSpec {
  return { trainer: 'logistic', ...MODEL_DEFAULTS, rounds: 1, chunk: 1, earlyStopping: 0, ...options };
}

type Metric = 'auc' | 'logLoss' | 'brier';

/** Test metric of at least `limit`. */
export const atLeast = (metric: Metric, limit: number): GateSpec => ({ gate: 'atLeast', metric, limit });
/** Test metric of at most `limit`. */
export const atMost = (metric: Metric, limit: number): GateSpec => ({ gate: 'atMost', metric, limit });
/** Better than the logistic baseline by at least `margin`. */
export const betterThanBaseline = (metric: Metric, margin = 0): GateSpec => ({
  gate: 'betterThanBaseline',
  metric,
  margin,
});
/** Not worse than the champion by more than `tolerance`, on rows neither was trained or tuned on. */
export const notWorseThanChampion = (
  metric: Metric,
  options: { tolerance?: number; minRows?: number } = {},
): GateSpec => ({ gate: 'notWorseThanChampion', metric, tolerance: 0, minRows: 1000, ...options });
/** No slice with enough rows falls behind the whole by more than `tolerance`. */
export const slices = (
  columns: string[],
  options: { metric?: Metric; tolerance?: number; minRows?: number } = {},
): GateSpec => ({ gate: 'slices', columns, metric: 'auc', tolerance: 0.15, minRows: 500, ...options });
/** ONNX, native and online predictions agree within `limit`. */
export const parity = (limit = 1e-5): GateSpec => ({ gate: 'parity', limit });

interface PipelineInput {
  name: string;
  /** The question the model answers, in a sentence. */
  question: string;
  /** 'latest': the end of the data. Default: now. */
  asOf?: 'latest' | 'now';
  sources: Record<string, SourceDraft>;
  spine: { from: string } & Omit<SpineSpec, 'source'>;
  features: FeatureView[];
  /** Preprocessing fitted on the training rows, in order: `impute`, `scale`, `log`, `polynomial`, `bin`, `oneHot`, … */
  transforms?: TransformSpec[];
  /** Which columns the model is left with: correlated, unimportant and eliminated ones are dropped. */
  select?: SelectInput;
  split: PipelineSpec['split'];
  model: ModelSpec;
  search?: Partial<SearchSpec>;
  gates?: GateSpec[];
  drift?: Partial<PipelineSpec['drift']>;
  promote?: Partial<PromoteSpec>;
  /** When runs start by themselves (`refit schedules apply`): a cron expression or an interval. */
  schedule?: ScheduleInput;
  /** When the online features are brought up to date between runs (`refit schedules apply`), e.g. `{ every: '15m' }`. */
  materialize?: ScheduleInput;
}

type SelectInput = Partial<Omit<SelectSpec, 'eliminate'>> & {
  eliminate?: { keep: number | 'best'; step?: number };
};

/**
 * Exactly one of `cron` and `every`; the rest has defaults: UTC; runs come one after the other, with seven days of catch-up; a
 * materialisation that is due while one is under way is left out, and one that was missed is caught up within the hour.
 */
type ScheduleInput = Partial<ScheduleSpec> & ({ cron: string } | { every: string });

const PROMOTE_DEFAULTS: PromoteSpec = { approval: 'none', timeout: '7d', onTimeout: 'reject', rollout: 'immediate' };
const SCHEDULE_DEFAULTS = { zone: 'UTC', overlap: 'buffer-all', catchup: '7d', pauseOnFailure: false } as const;
/** The next one brings whatever one that was left out would have. */
const MATERIALIZE_DEFAULTS = { ...SCHEDULE_DEFAULTS, overlap: 'skip', catchup: '1h' } as const;

function selection({ eliminate, ...rest }: SelectInput): SelectSpec {
  return {
    always: [],
    rounds: 100,
    ...rest,
    ...(eliminate ? { eliminate: { step: 0.2, ...eliminate } } : {}),
  };
}

const NO_SEARCH: SearchSpec = { trials: 0, batch: 2, rounds: 60, rowShare: 1, space: {} };

/** Declares a pipeline; export the result as default from `pipelines/<name>/pipeline.ts`. */
export function definePipeline(input: PipelineInput): PipelineDraft {
  const { schedule, materialize, select, ...rest } = input;
  const { from, ...spine } = input.spine;
  return {
    asOf: 'now',
    ...rest,
    promote: { ...PROMOTE_DEFAULTS, ...input.promote },
    ...(schedule ? { schedule: { ...SCHEDULE_DEFAULTS, ...schedule } } : {}),
    ...(materialize ? { materialize: { ...MATERIALIZE_DEFAULTS, ...materialize } } : {}),
    ...(select ? { select: selection(select) } : {}),
    spine: { source: from, ...spine },
    search: { ...NO_SEARCH, ...input.search },
    gates: input.gates ?? [parity()],
    drift: { window: '30d', psi: 0.2, ...input.drift },
  };
}
