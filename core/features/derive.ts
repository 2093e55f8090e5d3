/** Features made of two earlier features of the same row: as SQL for the offline join and as a function for the online one. */
import type { FeatureInfo } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { DerivedField, DerivedView } from '../spec/pipeline.ts';
import { finiteSql } from './feature-columns.ts';

type Value = number | string | null;

const kindOfResult = ({ op }: DerivedField): FeatureInfo['kind'] => (op === 'cross' ? 'category' : 'number');

/**
 * A derived view's features as SQL. `earlier` has the SQL and kind of every feature before it, whose values are FLOAT or
 * VARCHAR. @throws RefitError REFIT_PIPELINE_INVALID for a feature that is not there, or a text where a number is needed
 */
export function derivedSql(
  view: DerivedView,
  earlier: ReadonlyMap<string, { sql: string; kind: FeatureInfo['kind'] }>,
): { feature: FeatureInfo; sql: string }[] {
  const known = new Map(earlier);
  return view.fields.map((field) => {
    const operands = field.of.map((name) => {
      const operand = known.get(name);
      const where = `features.${view.name}.${field.name}`;
      if (!operand) {
        const message = `${where} is made of "${name}", which is no feature of an earlier view.`;
        throw new RefitError('REFIT_PIPELINE_INVALID', message, { where, features: [...known.keys()] });
      }
      if (field.op !== 'cross' && operand.kind !== 'number') {
        throw new RefitError(
          'REFIT_PIPELINE_INVALID',
          `${where}: ${field.op} needs numbers, and "${name}" is a category.`,
          {
            where,
          },
        );
      }
      return operand;
    }) as [Operand, Operand];
    const kind = kindOfResult(field);
    const sql = operationSql(field.op, operands);
    known.set(field.name, { sql, kind });
    return { feature: { name: field.name, kind, view: view.name }, sql };
  });
}

interface Operand {
  sql: string;
  kind: FeatureInfo['kind'];
}

const SIGNS = { ratio: '/', difference: '-', product: '*' } as const;

function operationSql(op: DerivedField['op'], [a, b]: [Operand, Operand]): string {
  if (op === 'cross') return `(${textSql(a)} || '|' || ${textSql(b)})`;
  const [left, right] = [`(${a.sql})::DOUBLE`, `(${b.sql})::DOUBLE`];
  const value = `(${left} ${SIGNS[op]} ${op === 'ratio' ? `nullif(${right}, 0)` : right})`;
  return `(${finiteSql(value)})::FLOAT`;
}

/** A whole number as its digits; other numbers have no one way to be written. */
function textSql({ sql, kind }: Operand): string {
  if (kind === 'category') return `(${sql})`;
  return `(CASE WHEN abs(${sql}) < 1e15 AND (${sql}) = trunc(${sql}) THEN (${sql})::BIGINT::VARCHAR END)`;
}

/** The same values, by feature name; `earlier` has the values of every feature before the view. */
export function derivedValues(view: DerivedView, earlier: Readonly<Record<string, Value>>): Record<string, Value> {
  const values: Record<string, Value> = {};
  for (const { name, op, of } of view.fields) {
    const [a, b] = of.map((own) => values[own] ?? earlier[own] ?? null) as [Value, Value];
    values[name] = op === 'cross' ? crossed(a, b) : computed(op, a, b);
  }
  return values;
}

function computed(op: keyof typeof SIGNS, a: Value, b: Value): number | null {
  if (typeof a !== 'number' || typeof b !== 'number' || (op === 'ratio' && b === 0)) return null;
  const value = Math.fround(op === 'ratio' ? a / b : op === 'product' ? a * b : a - b);
  return Number.isFinite(value) ? value : null;
}

function crossed(a: Value, b: Value): string | null {
  const texts = [a, b].map((value) => {
    if (typeof value !== 'number') return value;
    return Math.abs(value) < 1e15 && Number.isInteger(value) ? String(value === 0 ? 0 : value) : null;
  });
  return texts.includes(null) ? null : texts.join('|');
}
