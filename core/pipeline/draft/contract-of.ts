/** The contract of the columns a pipeline uses: types and nulls as found, no ranges, so that next month's rows pass as well. */
import type { LabelReading } from './label.ts';
import type { ColumnProfile } from './profile.ts';

/** JSON Schema of one row. `used`: the columns that the pipeline needs. */
export function contractOf(
  source: string,
  columns: readonly ColumnProfile[],
  used: ReadonlySet<string>,
  label: LabelReading,
): Record<string, unknown> {
  const named = columns.filter(
    ({ name, contract }) => used.has(name) && contract !== undefined && !name.startsWith('__'),
  );
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: `A row of ${source}: the columns that the pipeline uses`,
    type: 'object',
    required: named.map(({ name }) => name),
    properties: Object.fromEntries(named.map((column) => [column.name, property(column, label)])),
  };
}

function property({ name, contract, nulls }: ColumnProfile, label: LabelReading): Record<string, unknown> {
  const dated = contract === 'date' || contract === 'date-time';
  const type = dated ? 'string' : contract;
  // The label of a new row is not known yet.
  const isLabel = label.columns.includes(name);
  const nullable = nulls > 0 || isLabel;
  return {
    type: nullable ? [type, 'null'] : type,
    ...(dated ? { format: contract } : {}),
    ...(isLabel && label.values ? { enum: [...label.values, null] } : {}),
  };
}
