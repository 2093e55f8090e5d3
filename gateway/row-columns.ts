/** What a whole row of the table may bring to a request, where the model's features are the row's own columns and nothing else. */
import type { PipelineSpec } from '../core/spec/pipeline.ts';

export interface RowColumns {
  /** Column, as the table calls it → the feature or key that is its value under another name. */
  aliases: ReadonlyMap<string, string>;
  /** Columns that are taken and not used. */
  ignored: ReadonlySet<string>;
}

export const NO_ROW: RowColumns = { aliases: new Map(), ignored: new Set() };

/**
 * `columns`: those of the spine's source. A model with views that look things up takes no rows: a column it joins by would be
 * ignored in silence. Nor is a column ignored that a feature is computed from: `{ price: "try_cast(p AS DOUBLE)" }` is sent as
 * `price`, and a request with `p` is told so.
 */
export function rowColumns(
  { spine, sources, features: views }: Pick<PipelineSpec, 'spine' | 'sources' | 'features'>,
  columns: readonly string[],
): RowColumns {
  if (views.some(({ kind }) => kind !== 'fields')) return NO_ROW;
  const fields = views.flatMap((view) => (view.kind === 'fields' ? view.fields : []));
  const names = new Set([...spine.key, ...fields.map(({ name }) => name)]);
  const derive = sources[spine.source]?.derive ?? {};
  const made = [
    ...fields.filter(({ cyclical }) => cyclical === undefined).map(({ name, expr }) => [name, expr] as const),
    ...spine.key.flatMap((name) => (Object.hasOwn(derive, name) ? [[name, derive[name] ?? ''] as const] : [])),
  ];
  const aliases = new Map<string, string>();
  for (const [name, expr] of made) {
    const column = bareColumn(expr);
    if (column !== undefined && columns.includes(column) && !names.has(column)) aliases.set(column, name);
  }
  const computed = fields.map(({ expr }) => expr).filter((expr) => bareColumn(expr) === undefined);
  const ignored = columns.filter(
    (column) => !names.has(column) && !aliases.has(column) && !computed.some((expr) => mentions(expr, column)),
  );
  return { aliases, ignored: new Set(ignored) };
}

/** The column that an expression is: `tenure` → tenure, `"Monthly ""net"""` → Monthly "net"; undefined for any other. */
function bareColumn(expr: string): string | undefined {
  const text = expr.trim();
  if (/^[A-Za-z_]\w*$/.test(text)) return text;
  return /^"((?:[^"]|"")+)"$/.exec(text)?.[1]?.replaceAll('""', '"');
}

function mentions(expr: string, column: string): boolean {
  return expr.toLowerCase().includes(column.replaceAll('"', '""').toLowerCase());
}
