/** How feature views are written: each function returns plain JSON with the defaults filled in, as those of define.ts. */
import { RefitError } from './errors.ts';
import type { AgeSpec, Aggregate, CalendarPart, DerivedField, FeatureView, FieldSpec } from './pipeline.ts';

/** A field: a column, `{ feature: 'sql expression' }`, or `cyclical(…)`. */
export type FieldInput = string | Record<string, string> | FieldSpec[];

/** Sine and cosine of a value with a period, e.g. the minute of the day over 1440: midnight is near 23:59. */
export function cyclical(expr: string, period: number, name: string = expr): FieldSpec[] {
  return [{ name, expr, cyclical: period }];
}

function fieldSpecs(inputs: FieldInput[]): FieldSpec[] {
  return inputs.flatMap((input) => {
    if (typeof input === 'string') return [{ name: input, expr: input }];
    if (Array.isArray(input)) return input;
    return Object.entries(input).map(([name, expr]) => ({ name, expr }));
  });
}

type ByInput = string | string[] | Record<string, string>;

function joinKeys(by: ByInput): Record<string, string> {
  if (typeof by === 'string') return { [by]: by };
  if (Array.isArray(by)) return Object.fromEntries(by.map((column) => [column, column]));
  return by;
}

/** Columns of the spine's own row, as they were known at the prediction time. */
export function fields(of: string, columns: FieldInput[], options: { name?: string } = {}): FeatureView {
  return { kind: 'fields', name: options.name ?? `${of}_fields`, source: of, fields: fieldSpecs(columns) };
}

interface LatestOptions {
  /** Key: a column of both sides, several, or `{ spineColumn: sourceColumn }`. */
  by: ByInput;
  fields?: FieldInput[];
  /** SQL: event time, where it is not the source's own. */
  on?: string;
  /** A row older than this no longer answers; one exactly as old does. */
  ttl?: string;
  /** Forecasts: the row for this much after the prediction time, as it was known at the prediction time. */
  ahead?: string;
  /** Feature → unit: how long before the prediction time the newest row happened, e.g. `{ hours_since_visit: 'h' }`. */
  age?: Record<string, AgeSpec['unit']>;
  name?: string;
}

/** The newest row of another source that was known at the prediction time. */
export function latest(of: string, options: LatestOptions): FeatureView {
  const { on, ttl, ahead, age } = options;
  const by = joinKeys(options.by);
  return {
    kind: 'latest',
    name: options.name ?? `${of}_by_${Object.keys(by).join('_')}`,
    source: of,
    by,
    fields: fieldSpecs(options.fields ?? []),
    ...(on === undefined ? {} : { on }),
    ...(ttl === undefined ? {} : { ttl }),
    ...(ahead === undefined ? {} : { ahead }),
    ...(age === undefined ? {} : { age: Object.entries(age).map(([name, unit]) => ({ name, unit })) }),
  };
}

interface GroupOptions {
  by: ByInput;
  /**
   * Feature → `count(*)`, `count(x)`, `sum(x)`, `mean(x)`, `std(x)`, `min(x)`, `max(x)`, `median(x)`, `quantile(x, 0.9)`,
   * `distinct(x)`, `last(x)` or `share(condition)`, x being SQL over the source's columns.
   */
  aggregate: Record<string, string>;
  on?: string;
  name?: string;
}

interface WindowOptions extends GroupOptions {
  /** Rows that happened in (predict_at - over, predict_at]. */
  over?: string;
  /** The newest so many rows; with `over`, the newest of that time. */
  last?: number;
}

/** Aggregates over the rows of the last while, or over the last so many, as they were known at the prediction time. */
export function window(of: string, options: WindowOptions): FeatureView {
  const { over, last, on } = options;
  if (over === undefined && last === undefined) {
    throw new RefitError(
      'REFIT_PIPELINE_INVALID',
      `The window over ${of} has no end: give \`over\` (a time) or \`last\` (a number of rows), or use group() for all history.`,
    );
  }
  const by = joinKeys(options.by);
  const length = [over, last === undefined ? undefined : `last${last}`].filter((part) => part !== undefined).join('_');
  return {
    kind: 'window',
    name: options.name ?? `${of}_${length}_by_${Object.keys(by).join('_')}`,
    source: of,
    by,
    ...(over === undefined ? {} : { over }),
    ...(last === undefined ? {} : { last }),
    aggregate: Object.entries(options.aggregate).map(([name, text]) => aggregate(name, text)),
    ...(on === undefined ? {} : { on }),
  };
}

/** Statistics of a group over all that happened before and was known at the prediction time, e.g. the mean by category. */
export function group(of: string, options: GroupOptions): FeatureView {
  const by = joinKeys(options.by);
  return {
    kind: 'window',
    name: options.name ?? `${of}_history_by_${Object.keys(by).join('_')}`,
    source: of,
    by,
    aggregate: Object.entries(options.aggregate).map(([name, text]) => aggregate(name, text)),
    ...(options.on === undefined ? {} : { on: options.on }),
  };
}

const FUNCTIONS: Record<string, Pick<Aggregate, 'fn' | 'q'>> = {
  ...{ count: { fn: 'count' }, sum: { fn: 'sum' }, min: { fn: 'min' }, max: { fn: 'max' }, share: { fn: 'share' } },
  ...{
    avg: { fn: 'avg' },
    mean: { fn: 'avg' },
    std: { fn: 'std' },
    distinct: { fn: 'distinct' },
    last: { fn: 'last' },
  },
  ...{ quantile: { fn: 'quantile' }, median: { fn: 'quantile', q: 0.5 } },
};

/** `avg(dep_delay)` → `{ fn: 'avg', expr: 'dep_delay' }`; `quantile(x, 0.9)` → `{ fn: 'quantile', expr: 'x', q: 0.9 }`. */
function aggregate(name: string, text: string): Aggregate {
  const [, word = '', inner = ''] = /^\s*([a-z]+)\s*\(([\s\S]*)\)\s*$/.exec(text) ?? [];
  const found = Object.hasOwn(FUNCTIONS, word) ? FUNCTIONS[word] : undefined;
  const [, whole, share] = word === 'quantile' ? (/^([\s\S]*),\s*([01]|[01]?\.\d+)\s*$/.exec(inner) ?? []) : [];
  const expr = (word === 'quantile' ? (whole ?? '') : inner).trim();
  if (!found || expr === '' || (expr === '*' && word !== 'count')) {
    throw new RefitError(
      'REFIT_PIPELINE_INVALID',
      `Aggregate "${name}": "${text}" is none of count(*), count(x), sum(x), avg(x), std(x), min(x), max(x), median(x), quantile(x, 0.9), distinct(x), last(x), share(condition).`,
    );
  }
  return { name, ...found, ...(share === undefined ? {} : { q: Number(share) }), ...(expr === '*' ? {} : { expr }) };
}

interface CalendarOptions {
  /** IANA zone, whose clock and calendar count, daylight saving included. Default: UTC. */
  zone?: string;
  /** Emit sine and cosine of every part that comes round (all but year and weekend). */
  cyclical?: boolean;
  name?: string;
}

/** Parts of the prediction time: `'hour'`, or `{ feature: 'hour' }` for another name. */
export function calendar(
  parts: (CalendarPart | Record<string, CalendarPart>)[],
  { zone = 'UTC', cyclical: round = false, name = 'calendar' }: CalendarOptions = {},
): FeatureView {
  const named = parts.flatMap((part) => Object.entries(typeof part === 'string' ? { [part]: part } : part));
  return {
    ...{ kind: 'calendar', name, zone },
    parts: named.map(([feature, part]) => ({
      ...{ name: feature, part },
      ...(round && part !== 'year' && part !== 'weekend' ? { cyclical: true as const } : {}),
    })),
  };
}

type Operation = Omit<DerivedField, 'name'>;

/** a / b of two features; missing where b is 0 or either is missing. */
export const ratio = (a: string, b: string): Operation => ({ op: 'ratio', of: [a, b] });
/** a - b of two features. */
export const difference = (a: string, b: string): Operation => ({ op: 'difference', of: [a, b] });
/** a × b of two features. */
export const product = (a: string, b: string): Operation => ({ op: 'product', of: [a, b] });
/** One category of two, `JFK|AA`; missing where either is missing, or a number that is not whole. */
export const cross = (a: string, b: string): Operation => ({ op: 'cross', of: [a, b] });

/** Features made of features of earlier views: `derived({ load: ratio('arrivals', 'runways') })`. */
export function derived(
  features: Record<string, Operation>,
  { name = 'derived' }: { name?: string } = {},
): FeatureView {
  return {
    ...{ kind: 'derived', name },
    fields: Object.entries(features).map(([feature, operation]) => ({ name: feature, ...operation })),
  };
}
