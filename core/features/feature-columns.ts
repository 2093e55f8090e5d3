/** From declared fields to feature columns: names, kinds (FLOAT or VARCHAR) and the casts that make them so. */
import { identifier } from '../dataset/duckdb.ts';
import type { FeatureInfo } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { AgeSpec, FeatureView, FieldSpec, LatestView, WindowView } from '../spec/pipeline.ts';
import type { Expression, SourceTable } from './source-table.ts';

/** One output column: SQL over a row of the source, and when its value is known. */
export interface Output {
  name: string;
  sql: string;
  known: string[];
}

export interface FeatureOutput extends Output {
  feature: FeatureInfo;
  /** Not a value of the row but its age at the prediction time, in this unit; `sql` is empty. */
  age?: AgeSpec['unit'];
}

const INTEGER = /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|BIGNUM)$/;
/** Integers of which float32 holds every one, if not to the last digit. */
const SMALL_INTEGER = /^(U?(TINY|SMALL|BIG)INT|U?INTEGER)$/;
const FRACTION = /^(FLOAT|DOUBLE|DECIMAL\(.*\))$/;
const TEXT = /^(VARCHAR|UUID|ENUM\(.*\))$/s;
const TIME = /^(DATE|TIME|TIMESTAMP|INTERVAL)/;

/** What an expression's type can become; a time is neither, because only differences of times mean anything to a model. */
export function kindOf(expression: Expression, where: string): FeatureInfo['kind'] {
  const { type } = expression;
  if (type === 'BOOLEAN' || INTEGER.test(type) || FRACTION.test(type)) return 'number';
  if (TEXT.test(type)) return 'category';
  const cure = TIME.test(type) ? '; take a part of it or a difference, e.g. hour(t) or epoch(a - b)' : '';
  throw new RefitError(
    'REFIT_EXPRESSION_INVALID',
    `The expression ${where} is a ${type}, which is no feature${cure}.`,
    { where, type },
  );
}

/** SQL of a feature's value: FLOAT or VARCHAR. Numbers that float32 cannot hold (too large, infinite, NaN) and '' are missing. */
export function castSql({ sql, type }: Expression, kind: FeatureInfo['kind']): string {
  if (kind === 'category') return categorySql(sql);
  return type === 'BOOLEAN' || SMALL_INTEGER.test(type) ? `${sql}::FLOAT` : `${finiteSql(sql)}::FLOAT`;
}

/** A category as text: '' says as little as NULL, and in an ONNX graph nothing else can say that a text is missing. */
export function categorySql(sql: string): string {
  return `nullif(${sql}::VARCHAR, '')`;
}

/** The value as DOUBLE where it is a number that float32 can hold, else NULL. */
export function finiteSql(sql: string): string {
  return `CASE WHEN isfinite(try_cast(${sql} AS FLOAT)) THEN ${sql}::DOUBLE END`;
}

/** Feature columns of a view's fields, in order. @throws RefitError REFIT_EXPRESSION_INVALID */
export async function fieldOutputs(source: SourceTable, view: string, fields: FieldSpec[]): Promise<FeatureOutput[]> {
  const outputs: FeatureOutput[] = [];
  for (const field of fields) {
    const where = `features.${view}.${field.name}`;
    const expression = await source.expression(field.expr, where);
    const kind = kindOf(expression, where);
    if (field.cyclical === undefined)
      outputs.push(output(field.name, view, kind, castSql(expression, kind), expression));
    else outputs.push(...cycle(field.name, field.cyclical, view, kind, expression, where));
  }
  return outputs;
}

function output(
  name: string,
  view: string,
  kind: FeatureInfo['kind'],
  sql: string,
  { known }: Expression,
): FeatureOutput {
  return { name, sql, known, feature: { name, kind, view } };
}

/** Minute 1439 of 1440 is beside minute 0: (sin, cos) of 2π·x/period. */
function cycle(
  name: string,
  period: number,
  view: string,
  kind: string,
  expression: Expression,
  where: string,
): FeatureOutput[] {
  if (kind !== 'number') {
    throw new RefitError(
      'REFIT_EXPRESSION_INVALID',
      `The expression ${where} is a ${expression.type}, and cyclical needs a number.`,
      {
        where,
      },
    );
  }
  const angle = `(2 * pi() * (${finiteSql(expression.sql)}) / ${period})`;
  return (['sin', 'cos'] as const).map((fn) =>
    output(`${name}_${fn}`, view, 'number', `${fn}(${angle})::FLOAT`, expression),
  );
}

/** Names must differ (SQL does not tell case apart) and leave Refit's own columns alone. @throws RefitError REFIT_PIPELINE_INVALID */
export function checkNames(features: readonly FeatureInfo[], taken: readonly string[]): void {
  const seen = new Map(taken.map((name) => [name.toLowerCase(), 'a column of the training set']));
  for (const { name, view } of features) {
    const other = seen.get(name.toLowerCase());
    if (other) {
      throw new RefitError(
        'REFIT_PIPELINE_INVALID',
        `Feature "${name}" of ${view} has the same name as ${other}; give one of them another name, e.g. { ${name}_2: '${name}' }.`,
        { feature: name, view },
      );
    }
    seen.set(name.toLowerCase(), `a feature of ${view}`);
  }
}

/** The views that have features to look up by key; the others are of the spine's own row, of its time, or of other features. */
export function isJoined(view: FeatureView): view is LatestView | WindowView {
  return view.kind === 'latest' || view.kind === 'window';
}

/** `"a", "b"` */
export function identifiers(names: readonly string[]): string {
  return names.map(identifier).join(', ');
}
