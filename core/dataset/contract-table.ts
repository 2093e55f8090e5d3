import { nearest } from '../spec/nearest.ts';
import { allowOnly, type ContractType, columnList, invalid, isSchema, type Schema } from './contract-schema.ts';

/**
 * The vocabulary that JSON Schema lacks: what must hold of a table, not of a row. Each rule fails the snapshot, or only warns
 * where it says `"severity": "warn"`.
 */

export type Severity = 'fail' | 'warn';

interface Base {
  /** In words, e.g. `tailnum: x-max-null-share 0.05`. */
  rule: string;
  column: string | null;
  severity: Severity;
}

export type TableRule = Base &
  (
    | { kind: 'nulls'; column: string; limit: number }
    | { kind: 'freshness'; limit: string }
    | { kind: 'monotone'; column: string; strict: boolean; by: string[] }
    | { kind: 'quantile'; column: string; p: number; low: number | null; high: number | null }
    | { kind: 'references'; columns: string[]; source: string; to: string[]; limit: number }
  );

/** Keywords of a column; `x-pii` is read in contract-pii.ts. */
export const COLUMN_RULES = ['x-max-null-share', 'x-freshness', 'x-monotone', 'x-quantiles', 'x-references'];
/** Keywords of the whole table, beside `x-unique`. */
export const TABLE_RULES = ['x-freshness', 'x-references'];

const DURATION = /^[1-9]\d*(s|m|h|d|w|mo|y)$/;
const ORDERED: ContractType[] = ['integer', 'number', 'date-time', 'date'];
const TIMES: ContractType[] = ['date-time', 'date'];

/** The contract without its table rules: what shapes the rows of a partition. Equal where there are none. */
export function withoutTableRules(schema: Schema): Schema {
  const strip = (of: Schema, words: string[]): Schema =>
    words.some((word) => word in of)
      ? Object.fromEntries(Object.entries(of).filter(([key]) => !words.includes(key)))
      : of;
  const root = strip(schema, [...TABLE_RULES, 'x-version']);
  if (!isSchema(root.properties)) return root;
  const columns = Object.entries(root.properties);
  if (!columns.some(([, property]) => isSchema(property) && COLUMN_RULES.some((word) => word in property))) return root;
  const bare = columns.map(([name, one]) => [name, isSchema(one) ? strip(one, COLUMN_RULES) : one]);
  return { ...root, properties: Object.fromEntries(bare) as Schema };
}

/** @throws RefitError REFIT_CONTRACT_INVALID */
export function columnRules(name: string, type: ContractType, property: Schema, names: string[]): TableRule[] {
  const place = (keyword: string) => `properties.${name}.${keyword}`;
  const rules: TableRule[] = [];
  const of = (keyword: string, types?: ContractType[]): unknown => {
    if (property[keyword] !== undefined && types && !types.includes(type))
      invalid(place(keyword), `${keyword} does not apply to a column of type ${type}`);
    return property[keyword];
  };
  const nulls = of('x-max-null-share');
  if (nulls !== undefined) rules.push(nullRule(name, nulls, place('x-max-null-share')));
  const fresh = of('x-freshness', TIMES);
  if (fresh !== undefined) rules.push(freshnessRule(name, fresh, place('x-freshness')));
  const monotone = of('x-monotone', ORDERED);
  if (monotone !== undefined) rules.push(...monotoneRule(name, monotone, names, place('x-monotone')));
  const quantiles = of('x-quantiles', ['integer', 'number']);
  if (quantiles !== undefined) rules.push(...quantileRules(name, quantiles, place('x-quantiles')));
  const reference = of('x-references');
  if (reference !== undefined) rules.push(referenceRule([name], reference, place('x-references')));
  return rules;
}

/** Table rules at the contract's root. @throws RefitError REFIT_CONTRACT_INVALID */
export function rootRules(schema: Schema, names: string[]): TableRule[] {
  const rules: TableRule[] = [];
  if (schema['x-freshness'] !== undefined) rules.push(freshnessRule(null, schema['x-freshness'], 'x-freshness'));
  const references = schema['x-references'] ?? [];
  if (!Array.isArray(references)) return invalid('x-references', 'must be a list, each with columns, source and to');
  for (const [i, one] of references.entries()) {
    const place = `x-references.${i}`;
    if (!isSchema(one)) invalid(place, 'must be an object with columns, source and to');
    rules.push(referenceRule(columnList(one.columns, `${place}.columns`, names), one, place));
  }
  return rules;
}

/** `0.05`, or `{ "limit": 0.05, "severity": "warn" }`. */
function limited(value: unknown, place: string): { limit: unknown; severity: Severity } {
  if (!isSchema(value)) return { limit: value, severity: 'fail' };
  allowOnly(value, ['limit', 'severity'], place);
  return { limit: value.limit, severity: severityOf(value, place) };
}

function severityOf({ severity = 'fail' }: Schema, place: string): Severity {
  if (severity === 'fail' || severity === 'warn') return severity;
  return invalid(`${place}.severity`, 'must be "fail" or "warn"');
}

function shareOf(value: unknown, place: string): number {
  if (typeof value === 'number' && value >= 0 && value <= 1) return value;
  return invalid(place, 'must be a share between 0 and 1');
}

function nullRule(column: string, value: unknown, place: string): TableRule {
  const { limit, severity } = limited(value, place);
  const share = shareOf(limit, place);
  return { kind: 'nulls', rule: `${column}: x-max-null-share ${share}`, column, severity, limit: share };
}

function freshnessRule(column: string | null, value: unknown, place: string): TableRule {
  const { limit, severity } = limited(value, place);
  if (typeof limit !== 'string' || !DURATION.test(limit)) return invalid(place, 'must be a duration, e.g. "36h", "7d"');
  return { kind: 'freshness', rule: `${column ?? 'events'}: x-freshness ${limit}`, column, severity, limit };
}

/** `true`, `"strict"`, or `{ "strict": true, "by": ["sensor"], "severity": "warn" }`. */
function monotoneRule(column: string, value: unknown, names: string[], place: string): TableRule[] {
  if (value === false) return [];
  const options = value === true ? {} : value === 'strict' ? { strict: true } : value;
  if (!isSchema(options)) return invalid(place, 'must be true, "strict" or an object with strict, by and severity');
  allowOnly(options, ['strict', 'by', 'severity'], place);
  const by = columnList(options.by ?? [], `${place}.by`, names);
  const strict = options.strict === true;
  const text = `${column}: x-monotone${strict ? ' strict' : ''}${by.length > 0 ? ` by ${by.join(', ')}` : ''}`;
  return [{ kind: 'monotone', rule: text, column, severity: severityOf(options, place), strict, by }];
}

/** `{ "p50": [0, 20], "p99": [null, 300] }`: closed ranges, null = open. */
function quantileRules(column: string, value: unknown, place: string): TableRule[] {
  if (!isSchema(value)) return invalid(place, 'must be an object, e.g. { "p99": [0, 300] }');
  const { severity: _, ...ranges } = value;
  const severity = severityOf(value, place);
  return Object.entries(ranges).map(([name, range]) => {
    const match = /^p(\d{1,2}(?:\.\d{1,4})?|100)$/.exec(name);
    if (!match) return invalid(`${place}.${name}`, 'a quantile is called p0 to p100, e.g. p50 or p99.9');
    const [low, high, ...rest] = Array.isArray(range) ? (range as unknown[]) : [];
    const bound = (one: unknown): one is number | null => one === null || typeof one === 'number';
    if (!bound(low) || !bound(high) || rest.length > 0 || (low !== null && high !== null && low > high))
      return invalid(`${place}.${name}`, 'must be [lowest, highest], null where there is no bound');
    const rule = `${column}: x-quantiles ${name} in [${low ?? '-∞'}, ${high ?? '∞'}]`;
    return { kind: 'quantile', rule, column, severity, p: Number((Number(match[1]) / 100).toFixed(6)), low, high };
  });
}

/** `"airports.faa"`, or `{ "source": "airports", "to": "faa", "limit": 0.02, "severity": "warn" }`; limit: share without a match. */
function referenceRule(columns: string[], value: unknown, place: string): TableRule {
  const short = typeof value === 'string' ? /^([A-Za-z_]\w*)\.(.+)$/.exec(value) : undefined;
  const options: Schema = short ? { source: short[1], to: short[2] } : isSchema(value) ? value : {};
  allowOnly(options, ['columns', 'source', 'to', 'limit', 'severity'], place);
  const { source, limit = 0 } = options;
  const to = [options.to ?? []].flat() as unknown[];
  if (typeof source !== 'string' || to.length !== columns.length || !to.every((one) => typeof one === 'string')) {
    return invalid(
      place,
      `must name a source and ${columns.length === 1 ? 'its column' : 'as many of its columns'}, e.g. "airports.faa"`,
    );
  }
  const share = shareOf(limit, `${place}.limit`);
  const from = columns.length === 1 ? `${columns[0]}: ` : `(${columns.join(', ')}): `;
  const target = to.length === 1 ? `${source}.${to[0]}` : `${source} (${to.join(', ')})`;
  return {
    kind: 'references',
    rule: `${from}x-references ${target}`,
    column: columns.length === 1 ? (columns[0] ?? null) : null,
    severity: severityOf(options, place),
    ...{ columns, source, to: to as string[], limit: share },
  };
}

/** Sources that a contract's rules look into. */
export function referencedSources(rules: readonly TableRule[]): string[] {
  return [...new Set(rules.flatMap((rule) => (rule.kind === 'references' ? [rule.source] : [])))].sort();
}

/** @throws RefitError REFIT_CONTRACT_INVALID when a rule refers to a source that the pipeline does not have */
export function requireReferences(rules: readonly TableRule[], sources: string[]): void {
  for (const name of referencedSources(rules)) {
    if (!sources.includes(name)) invalid('x-references', `there is no source "${name}"${nearest(name, sources)}`);
  }
}
