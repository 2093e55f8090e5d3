/** What lies in the online store for an entity, feature by feature with its times: for people who wonder what is served. */
import type { FeatureInfo } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import { nearest } from '../spec/nearest.ts';
import type { FeatureView } from '../spec/pipeline.ts';
import { shift } from '../spec/time.ts';
import { isJoined } from './feature-columns.ts';
import { entityKey, type OnlineLayout, type OnlineLookup, readLayout } from './online-layout.ts';
import type { OnlineRow, OnlineStore, OnlineValue } from './online-store.ts';

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

/** @throws RefitError REFIT_ENTITY_UNKNOWN when nothing was materialised; REFIT_USAGE (no such view, key of other columns) */
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
  const [entity] = await read(store, layout.entity.id, spineKey(layout, request.key));
  const rows = [
    { part: { ...layout.entity, view: '', absent: [] as OnlineValue[] }, row: entity, isEntity: true },
    ...(await Promise.all(
      layout.lookups.map(async (part, position) => {
        const own = layout.entity.features.length + position;
        const wanted = entity ? (entity.values[own] as string | null) : viewKey(views, part.view, request.key);
        return { part, row: (await read(store, part.id, wanted))[0], isEntity: false };
      }),
    )),
  ];
  const shown = rows.flatMap(({ part, row, isEntity }) => {
    const known = isEntity || entity || viewKey(views, part.view, request.key) !== null;
    return served(part, row, known ? part.absent : [], at).map((one) => ({ one, found: row !== undefined }));
  });
  const wanted = shown.filter(({ one }) => view === undefined || one.view === view);
  if (!entity) requireKey(layout, views, view, request.key);
  const order = layout.features.map(({ name }) => name);
  return {
    ...{ asOf: layout.asOf, at },
    found: entity !== undefined || wanted.some(({ found }) => found),
    features: wanted.map(({ one }) => one).sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name)),
  };
}

async function read(store: OnlineStore, id: string, key: string | null): Promise<(OnlineRow | undefined)[]> {
  return key === null ? [undefined] : store.get(id, [key]);
}

/** Null where the key's columns are not those of the spine. */
function spineKey({ key: columns }: OnlineLayout, key: Record<string, string>): string | null {
  return entityKey(columns.map((name) => key[name] ?? null));
}

function viewKey(views: FeatureView[], name: string, key: Record<string, string>): string | null {
  const view = views.find((one) => one.name === name);
  return !view || !isJoined(view) ? null : entityKey(Object.keys(view.by).map((column) => key[column] ?? null));
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

type Part = Pick<OnlineLookup, 'features' | 'absent' | 'ttl'> & { features: FeatureInfo[] };

function served(
  { features, ttl, absent: _ }: Part,
  row: OnlineRow | undefined,
  absent: OnlineValue[],
  at: string,
): ServedFeature[] {
  const limit = ttl === undefined ? Number.NEGATIVE_INFINITY : shift(new Date(at), ttl, -1).getTime() * 1000;
  const expired = row !== undefined && row.eventAtUs < limit;
  const eventAtUs = row && Number.isFinite(row.eventAtUs) ? row.eventAtUs : null;
  return features.map(({ name, view }, i) => {
    const stored = row?.values[i] ?? null;
    return {
      ...{ name, view, stored, ttl: ttl ?? null, expired },
      value: row && !expired ? stored : (absent[i] ?? null),
      eventAt: eventAtUs === null ? null : new Date(eventAtUs / 1000).toISOString().replace('.000Z', 'Z'),
      ageSeconds: eventAtUs === null ? null : Math.round(Date.parse(at) / 1000 - eventAtUs / 1e6),
    };
  });
}
