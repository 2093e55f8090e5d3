/** What lies in the online store for an entity, feature by feature with its times: for people who wonder what is served. */
import { RefitError } from '../spec/errors.ts';
import { nearest } from '../spec/nearest.ts';
import type { FeatureView } from '../spec/pipeline.ts';
import { columnOf, valueAt } from './feature-column.ts';
import { isJoined } from './feature-columns.ts';
import { keyColumns } from './join-keys.ts';
import { answerer } from './online-answer.ts';
import { entityKey, type OnlineLayout, type OnlineLookup, readLayout } from './online-layout.ts';
import type { OnlineRow, OnlineStore, OnlineValue } from './online-store.ts';
import { computedValues } from './read-features.ts';

export interface InspectRequest {
  namespace: string;
  views: FeatureView[];
  /** One view, or all of them. */
  view: string | undefined;
  /** Key columns of the view, or of the pipeline's spine, as text. */
  key: Record<string, string>;
  /** ISO UTC; what has expired by then is served as missing. */
  at: string | undefined;
}

export interface ServedFeature {
  name: string;
  view: string;
  value: OnlineValue;
  stored: OnlineValue;
  eventAt: string | null;
  ageSeconds: number | null;
  ttl: string | null;
  expired: boolean;
}

export interface Served {
  /** What the store was brought to, ISO UTC; `at` unless another time was asked about. */
  asOf: string;
  at: string;
  found: boolean;
  features: ServedFeature[];
}

/** @throws RefitError REFIT_ENTITY_UNKNOWN when nothing was materialised; REFIT_USAGE (no such view, key of other columns, a time
 * before the features') */
export async function inspectOnline(store: OnlineStore, request: InspectRequest): Promise<Served> {
  const { namespace, views, view } = request;
  const layout = await readLayout(store, namespace);
  if (!layout) {
    throw new RefitError('REFIT_ENTITY_UNKNOWN', `The online store ${store.address} has no features of ${namespace}.`, {
      namespace,
    });
  }
  const names = views.map(({ name }) => name);
  if (view !== undefined && !names.includes(view)) {
    throw new RefitError('REFIT_USAGE', `There is no view "${view}"${nearest(view, names)}.`, { view, views: names });
  }
  const at = request.at ?? layout.asOf;
  if (Date.parse(at) < Date.parse(layout.asOf)) {
    const message = `The online features are as of ${layout.asOf}; they cannot answer for the earlier ${at}.`;
    throw new RefitError('REFIT_USAGE', message, { asOf: layout.asOf, at });
  }
  const [entity] = await read(store, layout.entity.id, spineKey(layout, request.key));
  if (!entity) requireKey(layout, views, view, request.key);
  const looked = await Promise.all(
    layout.lookups.map(async (lookup, position) => {
      const own = layout.entity.features.length + position;
      const wanted = entity ? (entity.values[own] as string | null) : viewKey(views, lookup.view, request.key);
      const bytes = wanted === null ? undefined : await bytesOf(store, lookup.id, wanted);
      const asked = entity !== undefined || wanted !== null;
      return { found: bytes !== undefined, features: servedLookup(lookup, bytes, asked, at) };
    }),
  );
  const shown = [...servedEntity(layout, entity), ...looked.flatMap(({ features }) => features)];
  if (entity) shown.push(...servedComputed(layout, shown, at));
  const wanted = (name: string) => view === undefined || name === view;
  const order = layout.features.map(({ name }) => name);
  return {
    ...{ asOf: layout.asOf, at },
    found: entity !== undefined || looked.some(({ found }, i) => found && wanted(layout.lookups[i]?.view ?? '')),
    features: shown.filter((one) => wanted(one.view)).sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name)),
  };
}

async function read(store: OnlineStore, id: string, key: string | null): Promise<(OnlineRow | undefined)[]> {
  return key === null ? [undefined] : store.get(id, [key]);
}

async function bytesOf(store: OnlineStore, id: string, key: string): Promise<Buffer | undefined> {
  let found: Buffer | undefined;
  await store.scan(id, [key], (bytes) => {
    found = Buffer.from(bytes.subarray(0, bytes.length));
  });
  return found;
}

/** Null where the key's columns are not those of the spine. */
function spineKey({ key: columns }: OnlineLayout, key: Record<string, string>): string | null {
  return entityKey(columns.map((name) => key[name] ?? null));
}

function viewKey(views: FeatureView[], name: string, key: Record<string, string>): string | null {
  const view = views.find((one) => one.name === name);
  return !view || !isJoined(view) ? null : entityKey(keyColumns(view.by).map((column) => key[column] ?? null));
}

/** @throws RefitError REFIT_USAGE when the key names neither the spine's row nor the view's */
function requireKey(
  layout: OnlineLayout,
  views: FeatureView[],
  name: string | undefined,
  key: Record<string, string>,
): void {
  if (spineKey(layout, key) !== null) return;
  const view = views.find((one) => one.name === name);
  if (view && viewKey(views, view.name, key) !== null) return;
  const own = view && isJoined(view) ? `${Object.keys(view.by).join(', ')}, or by ` : '';
  const what = name === undefined ? 'An entity' : `The view ${name}`;
  throw new RefitError(
    'REFIT_USAGE',
    `${what} is asked for by ${own}${layout.key.join(', ')}; --key names ${Object.keys(key).join(', ')}.`,
    {
      key,
    },
  );
}

const untimed = { eventAt: null, ageSeconds: null, ttl: null, expired: false };

/** The spine row's own features, with the time they were written as of. */
function servedEntity({ entity: { features }, asOf }: OnlineLayout, row: OnlineRow | undefined): ServedFeature[] {
  return features.map(({ name, view }, i) => {
    const value = (row?.values[i] ?? null) as OnlineValue;
    return { ...untimed, name, view, value, stored: value, eventAt: row ? asOf : null };
  });
}

/** `asked`: there is a key to ask by; otherwise nothing is known, not even that there are no rows. */
function servedLookup(lookup: OnlineLookup, bytes: Buffer | undefined, asked: boolean, at: string): ServedFeature[] {
  const ttl = lookup.read.kind === 'latest' ? (lookup.read.ttl ?? null) : null;
  const answer = answerer(lookup, at);
  const filled = (evenExpired: boolean) => {
    const columns = lookup.features.map(({ kind }, i) => columnOf(kind, asked ? (lookup.absent[i] ?? null) : null));
    const eventUs = bytes ? answer.fill(bytes, lookup.view, columns, 0, evenExpired) : -Infinity;
    return { values: columns.map((column) => valueAt(column, 0)), eventUs };
  };
  const { values, eventUs } = filled(false);
  const stored = filled(true).values;
  const timed = Number.isFinite(eventUs);
  return lookup.features.map(({ name, view }, i) => ({
    ...{ name, view, ttl, expired: timed && answer.isExpired(eventUs) },
    value: values[i] ?? null,
    stored: stored[i] ?? null,
    eventAt: timed ? new Date(eventUs / 1000).toISOString().replace('.000Z', 'Z') : null,
    ageSeconds: timed ? Math.round(Date.parse(at) / 1000 - eventUs / 1e6) : null,
  }));
}

function servedComputed(layout: OnlineLayout, before: ServedFeature[], at: string): ServedFeature[] {
  const values = Object.fromEntries(before.map(({ name, value }) => [name, value]));
  for (const view of layout.computed) Object.assign(values, computedValues(view, values, at));
  const views = new Set(layout.computed.map(({ name }) => name));
  return layout.features
    .filter(({ view }) => views.has(view))
    .map(({ name, view }) => ({ ...untimed, name, view, value: values[name] ?? null, stored: values[name] ?? null }));
}
