/** What a feature view promises before any data is there: the names and kinds of its features, and what is wrong with it. */
import { nearest } from '../spec/nearest.ts';
import type { FeatureView } from '../spec/pipeline.ts';
import type { PlannedColumn } from '../spec/plan-transforms.ts';

/** Names of the features that a view emits, in order. */
export function featureNames(view: FeatureView): string[] {
  if (view.kind === 'window') return view.aggregate.map(({ name }) => name);
  const named: { name: string; cyclical?: number | true }[] = view.kind === 'calendar' ? view.parts : view.fields;
  const names = named.flatMap(({ name, cyclical }) =>
    cyclical === undefined ? [name] : [`${name}_sin`, `${name}_cos`],
  );
  return view.kind === 'latest' ? [...names, ...(view.age ?? []).map(({ name }) => name)] : names;
}

/** Features with their kinds; a field is what its expression gives. */
export function featureColumns(view: FeatureView): PlannedColumn[] {
  const kinds = new Map<string, PlannedColumn['kind']>();
  if (view.kind === 'fields' || view.kind === 'latest') {
    for (const { name, cyclical } of view.fields) if (cyclical === undefined) kinds.set(name, 'unknown');
  }
  if (view.kind === 'window') for (const { name, fn } of view.aggregate) if (fn === 'last') kinds.set(name, 'unknown');
  if (view.kind === 'derived') for (const { name, op } of view.fields) if (op === 'cross') kinds.set(name, 'category');
  return featureNames(view).map((name) => ({ name, kind: kinds.get(name) ?? 'number' }));
}

/** `earlier`: names of the features before the view. */
export function* viewComplaints(view: FeatureView, place: string, earlier: ReadonlySet<string>): Generator<string> {
  if (view.kind === 'latest' && view.fields.length === 0 && !view.age)
    yield `${place}: it has neither fields nor an age`;
  if (view.kind === 'calendar' && !isZone(view.zone)) yield `${place}.zone: "${view.zone}" is no IANA time zone`;
  if (view.kind !== 'derived') return;
  const known = new Set(earlier);
  for (const { name, of } of view.fields) {
    for (const operand of of) {
      if (known.has(operand)) continue;
      yield `${place}: "${name}" is made of "${operand}", which is no earlier feature${nearest(operand, [...known])}`;
    }
    known.add(name);
  }
}

function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
