import type { ColumnInfo, SchemaChange } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { Contract } from './contract.ts';
import { isWider } from './snapshot-columns.ts';

/** The columns of a source as its users rely on them, and how those of two snapshots differ. */

export interface SchemaColumn {
  name: string;
  /** A contract's type, or DuckDB's for a column that it does not name; a treatment of personal data is part of it. */
  type: string;
  /** Never null. */
  required: boolean;
}

/** Columns of the source itself; those that the pipeline derives are its own affair. */
export function schemaOf(
  { columns: declared, pii }: Contract,
  columns: readonly ColumnInfo[],
  derived: readonly string[],
): SchemaColumn[] {
  const named = declared.map(({ name, type, nullable }) => {
    const treated = pii.find(({ column }) => column === name);
    const how = treated
      ? treated.treatment === 'token'
        ? ` as token ${treated.format}`
        : ` as ${treated.treatment}`
      : '';
    return { name, type: type + how, required: !nullable };
  });
  const others = columns.filter(({ name }) => !derived.includes(name) && !declared.some((one) => one.name === name));
  const all = [...named, ...others.map(({ name, type }) => ({ name, type, required: false }))];
  return all.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Column by column, in the order of their names. */
export function compareSchemas(before: readonly SchemaColumn[], after: readonly SchemaColumn[]): SchemaChange[] {
  const names = [...new Set([...before, ...after].map(({ name }) => name))].sort();
  return names.flatMap((name) => {
    const [a, b] = [before, after].map((columns) => columns.find((column) => column.name === name));
    return changesOf(name, a, b);
  });
}

function changesOf(column: string, a: SchemaColumn | undefined, b: SchemaColumn | undefined): SchemaChange[] {
  if (!a || !b) {
    const one = { column, from: a?.type ?? null, to: b?.type ?? null };
    // Whoever writes the source has to write a required column from now on.
    if (b?.required) return [{ ...one, change: 'required', compatible: false }];
    return [{ ...one, change: b ? 'added' : 'removed', compatible: b !== undefined }];
  }
  const changes: SchemaChange[] = [];
  const types = { column, from: a.type, to: b.type };
  if (a.type !== b.type) {
    const wider = isWider(b.type, a.type);
    const change = wider ? 'widened' : isWider(a.type, b.type) ? 'narrowed' : 'retyped';
    changes.push({ ...types, change, compatible: wider });
  }
  if (a.required !== b.required)
    changes.push({ ...types, change: b.required ? 'required' : 'optional', compatible: !b.required });
  return changes;
}

/** `gate: removed (was string)`, `price: number → integer (narrowed)` */
export function describeChange({ column, change, from, to }: SchemaChange): string {
  if (change === 'added') return `${column}: added (${to})`;
  if (change === 'removed') return `${column}: removed (was ${from})`;
  if (change === 'required')
    return from === null ? `${column}: added as required (${to})` : `${column}: newly required`;
  if (change === 'optional') return `${column}: no longer required`;
  return `${column}: ${from} → ${to} (${change})`;
}

/** The refusal of changes that are not compatible; undefined where there are none. */
export function incompatible(
  { source, asOf, since }: { source: string; asOf: string; since: string },
  changes: readonly SchemaChange[],
): RefitError | undefined {
  const broken = changes.filter(({ compatible }) => !compatible);
  if (broken.length === 0) return undefined;
  const message = `Source "${source}" does not have the columns it had as of ${since}: ${broken.map(describeChange).join('; ')}.`;
  return new RefitError('REFIT_SCHEMA_CHANGED', message, { source, asOf, since, changes });
}
