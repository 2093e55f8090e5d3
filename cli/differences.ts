import type { Difference } from '../core/spec/cli.ts';

/**
 * Where two JSON values differ, leaf by leaf: `{ ttl: '6h' }` and `{ ttl: '3h' }` → `[{ path: 'ttl', a: '6h', b: '3h' }]`. Parts of
 * a list that have names are told by them (`features.weather_by_origin.ttl`), so that one more in the middle moves no others.
 */
export function differences(a: unknown, b: unknown): Difference[] {
  const [left, right] = [leaves(a), leaves(b)];
  const paths = [...new Set([...left.keys(), ...right.keys()])].sort();
  return paths
    .map((path) => ({ path, a: left.get(path) ?? null, b: right.get(path) ?? null }))
    .filter((pair) => JSON.stringify(pair.a) !== JSON.stringify(pair.b));
}

function leaves(value: unknown, prefix = '', found = new Map<string, unknown>()): Map<string, unknown> {
  if (typeof value !== 'object' || value === null) {
    if (value !== undefined) found.set(prefix, value);
    return found;
  }
  const parts = Array.isArray(value) ? named(value) : Object.entries(value);
  // Nothing in it is a value, too: `{}` against a missing one.
  if (parts.length === 0 && prefix !== '') found.set(prefix, value);
  for (const [name, part] of parts) leaves(part, prefix === '' ? name : `${prefix}.${name}`, found);
  return found;
}

function named(list: unknown[]): [string, unknown][] {
  const names = list.map((part) => (part as { name?: unknown } | null)?.name);
  const unique = names.every((name) => typeof name === 'string') && new Set(names).size === list.length;
  return list.map((part, index) => [unique ? String(names[index]) : String(index), part]);
}
