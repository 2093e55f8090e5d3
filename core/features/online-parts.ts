/** From joined views to the rows of their sources that the online store keeps, one part for what is known together. */
import type { FeatureInfo } from '../spec/artifacts.ts';
import type { FeatureView, LatestView, WindowView } from '../spec/pipeline.ts';
import { durationSeconds } from '../spec/time.ts';
import { digestOf } from '../store/digest.ts';
import { aggregateValues } from './aggregate.ts';
import { calendarSql } from './calendar.ts';
import { compileLatest, compileWindow, type Spine } from './compile.ts';
import { derivedSql } from './derive.ts';
import type { KeyPair } from './join-keys.ts';
import { lookupGroups, outputsKnown } from './latest-view.ts';
import type { OnlineLookup } from './online-layout.ts';
import type { SourceTable, SourceTables } from './source-table.ts';
import { eventSql, isSummed, type Measure, measureGroups, measuresKnown, windowFeatures } from './window-view.ts';

export interface OnlinePart {
  /** As in the layout; what only writing tells is added there. */
  lookup: Omit<OnlineLookup, 'id' | 'newestUs' | 'size'>;
  source: SourceTable;
  keys: KeyPair[];
  /** SQL over a row of the source: TIMESTAMPs. */
  event: string;
  known: string;
  /** SQL of the kept values, by column: DOUBLE, or VARCHAR for texts. */
  values: string[];
  /** Columns in the order by which the offline join tells rows of equal times apart. */
  ties: number[];
}

/**
 * The parts of all joined views, and all features of all views, in the pipeline's order.
 * @throws RefitError REFIT_PIPELINE_INVALID, REFIT_EXPRESSION_INVALID
 */
export async function onlineParts(
  views: FeatureView[],
  sources: SourceTables,
  spine: Spine,
): Promise<{ parts: OnlinePart[]; features: FeatureInfo[] }> {
  const parts: OnlinePart[] = [];
  const features: FeatureInfo[] = [];
  for (const view of views) {
    if (view.kind === 'fields') features.push(...spine.fields.filter((feature) => feature.view === view.name));
    else if (view.kind === 'calendar') features.push(...calendarSql(view, '').map(({ feature }) => feature));
    else if (view.kind === 'derived') {
      const earlier = new Map(features.map(({ name, kind }) => [name, { sql: '', kind }]));
      features.push(...derivedSql(view, earlier).map(({ feature }) => feature));
    } else {
      const own = view.kind === 'window' ? windowParts : latestParts;
      const found = await own(view as never, sources, spine.columns);
      parts.push(...found.parts);
      features.push(...found.features);
    }
  }
  return { parts, features };
}

interface ViewParts {
  parts: OnlinePart[];
  /** In the order they were declared in. */
  features: FeatureInfo[];
}

/**
 * A digest of the features, and of how keys become text, is part of the name: rows of another set of them, or under keys of another
 * type of the spine, are never read as these.
 */
function partName(view: string, features: FeatureInfo[], keys: KeyPair[]): string {
  return `${view}/${digestOf([features, keys.map(({ sourceSql }) => sourceSql)]).slice(0, 8)}`;
}

async function latestParts(
  view: LatestView,
  sources: SourceTables,
  columns: ReadonlyMap<string, string>,
): Promise<ViewParts> {
  const plan = await compileLatest(view, sources, columns);
  const { source, keys, event } = plan;
  const parts = lookupGroups(plan).map((outputs): OnlinePart => {
    const features = outputs.map(({ feature }) => feature);
    const kept = outputs.filter(({ age }) => !age);
    return {
      lookup: {
        part: partName(view.name, features, keys),
        view: view.name,
        features,
        absent: features.map(() => null),
        texts: kept.map(({ feature }) => feature.kind === 'category'),
        read: {
          kind: 'latest',
          ...(view.ttl === undefined ? {} : { ttl: view.ttl }),
          aheadUs: view.ahead === undefined ? 0 : durationSeconds(view.ahead) * 1e6,
          ages: outputs.map(({ age }) => age ?? null),
        },
      },
      ...{ source, keys },
      event: event ? `(${event.sql})::TIMESTAMP` : "'-infinity'::TIMESTAMP",
      known: outputsKnown(plan, outputs),
      values: kept.map(({ sql }) => sql),
      ties: [...kept.keys()],
    };
  });
  return { parts, features: plan.outputs.map(({ feature }) => feature) };
}

async function windowParts(
  view: WindowView,
  sources: SourceTables,
  columns: ReadonlyMap<string, string>,
): Promise<ViewParts> {
  const plan = await compileWindow(view, sources, columns);
  const parts = measureGroups(plan.measures).map((measures): OnlinePart => {
    const features = measures.map(({ feature }) => feature);
    return {
      lookup: {
        part: partName(view.name, features, plan.keys),
        view: view.name,
        features,
        absent: measures.map(({ aggregate }) => aggregateValues(aggregate, [])),
        texts: measures.map(({ text }) => text),
        read: {
          kind: 'window',
          overUs: Number.isFinite(plan.overSeconds) ? plan.overSeconds * 1e6 : null,
          last: plan.last ?? null,
          measures: measures.map(({ aggregate: { fn, q } }) => ({ fn, ...(q === undefined ? {} : { q }) })),
        },
      },
      ...{ source: plan.source, keys: plan.keys },
      event: eventSql(plan),
      known: measuresKnown(plan, measures),
      values: measures.map(({ sql }) => sql),
      ties: [...measures.keys()].filter((i) => !isSummed(plan, measures[i] as Measure)),
    };
  });
  return { parts, features: windowFeatures(plan) };
}
