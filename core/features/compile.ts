/**
 * Compiles feature views to one DuckDB query: every spine row with the features as they were known at its prediction time.
 *
 * The spine is a relation with `__row` (unique BIGINT), `__at` (TIMESTAMP, UTC), the columns that `by` of the views names, and
 * one column `__field_<feature>` for each feature of a `fields` view (spine.ts makes both kinds of spine). Neither the
 * order of its rows nor repeated rows matter.
 */
import { identifier } from '../dataset/duckdb.ts';
import type { FeatureInfo } from '../spec/artifacts.ts';
import { RefitError } from '../spec/errors.ts';
import type { FeatureView, LatestView, WindowView } from '../spec/pipeline.ts';
import { calendarSql } from './calendar.ts';
import { derivedSql } from './derive.ts';
import { type FeatureOutput, fieldOutputs } from './feature-columns.ts';
import { joinKeys } from './join-keys.ts';
import { type LatestPlan, latestLookups } from './latest-view.ts';
import { SpineQuestions } from './questions.ts';
import { type Expression, type SourceTable, type SourceTables, sourceOf } from './source-table.ts';
import { planWindow, windowFeatures, windowSql } from './window-view.ts';

/** A spine as the compiler sees it: its relation, and the features its own columns already give. */
export interface Spine {
  relation: string;
  /** Column → DuckDB type, of the columns that views may join by. */
  columns: ReadonlyMap<string, string>;
  /** Features of the `fields` views, found in `__field_<name>`. */
  fields: FeatureInfo[];
}

export interface JoinedViews {
  /** `(SELECT __row, feature, …)`: one row for each row of the spine, features in the pipeline's order. */
  relation: string;
  features: FeatureInfo[];
}

export interface JoinRequest {
  spine: Spine;
  views: FeatureView[];
  sources: SourceTables;
}

/** Joins views to a spine. @throws RefitError REFIT_PIPELINE_INVALID, REFIT_EXPRESSION_INVALID */
export async function joinViews({ spine, views, sources }: JoinRequest): Promise<JoinedViews> {
  const questions = new SpineQuestions(spine.relation);
  const features: FeatureInfo[] = [];
  const joins: string[] = [];
  const columns = new Map(
    spine.fields.map(({ name, kind }) => [name, { sql: `s.${identifier(`__field_${name}`)}`, kind }]),
  );
  const add = (feature: FeatureInfo, sql: string) => {
    features.push(feature);
    columns.set(feature.name, { sql, kind: feature.kind });
  };
  const joinAll = (parts: { names: string[]; sql: string }[], wanted: FeatureInfo[]) => {
    const places = new Map<string, string>();
    for (const { names, sql } of parts) {
      const alias = `v${joins.length}`;
      joins.push(`LEFT JOIN (${sql}) ${alias} ON ${alias}.__row = s.__row`);
      for (const name of names) places.set(name, `${alias}.${identifier(name)}`);
    }
    for (const feature of wanted) add(feature, places.get(feature.name) as string);
  };
  for (const view of views) {
    if (view.kind === 'fields') features.push(...spine.fields.filter((feature) => feature.view === view.name));
    else if (view.kind === 'calendar') for (const { feature, sql } of calendarSql(view, 's.__at')) add(feature, sql);
    else if (view.kind === 'derived') {
      const earlier = new Map([...columns].filter(([name]) => features.some((feature) => feature.name === name)));
      for (const { feature, sql } of derivedSql(view, earlier)) add(feature, sql);
    } else if (view.kind === 'window') {
      const plan = await compileWindow(view, sources, spine.columns);
      joinAll(await windowSql(plan, spine.relation), windowFeatures(plan));
    } else {
      const plan = await compileLatest(view, sources, spine.columns);
      const lookups = await latestLookups(plan, questions);
      joinAll(
        lookups.map(({ outputs, sql }) => ({ names: outputs.map(({ name }) => name), sql })),
        plan.outputs.map(({ feature }) => feature),
      );
    }
  }
  const selected = features.map(({ name }) => `${columns.get(name)?.sql} AS ${identifier(name)}`);
  return {
    relation: `(SELECT ${['s.__row', ...selected].join(', ')}\nFROM ${spine.relation} s\n${joins.join('\n')})`,
    features,
  };
}

/** A latest view, checked. @throws RefitError REFIT_PIPELINE_INVALID, REFIT_EXPRESSION_INVALID */
export async function compileLatest(view: LatestView, sources: SourceTables, columns: ReadonlyMap<string, string>) {
  const source = sourceOf(sources, view.source, `features.${view.name}`);
  const plan: Omit<LatestPlan, 'outputs'> & { outputs: FeatureOutput[] } = {
    source,
    keys: joinKeys(view.by, columns, source, view.name),
    event: await eventOf(view, source),
    outputs: [...(await fieldOutputs(source, view.name, view.fields)), ...ageOutputs(view)],
    ttl: view.ttl,
    ahead: view.ahead,
  };
  const timed = view.ttl ? 'a ttl' : view.age ? 'an age' : view.ahead ? '`ahead`' : undefined;
  if (timed && !plan.event) {
    throw new RefitError(
      'REFIT_PIPELINE_INVALID',
      `features.${view.name} has ${timed}, but ${source.name} has no event time to count it from.`,
      { view: view.name },
    );
  }
  return plan;
}

function ageOutputs(view: LatestView): FeatureOutput[] {
  return (view.age ?? []).map(({ name, unit }) => {
    return { name, sql: '', known: [], age: unit, feature: { name, kind: 'number', view: view.name } };
  });
}

/** A window view, checked. @throws RefitError REFIT_PIPELINE_INVALID, REFIT_EXPRESSION_INVALID */
export async function compileWindow(view: WindowView, sources: SourceTables, columns: ReadonlyMap<string, string>) {
  const source = sourceOf(sources, view.source, `features.${view.name}`);
  const event = await eventOf(view, source);
  if (!event) {
    throw new RefitError(
      'REFIT_PIPELINE_INVALID',
      `features.${view.name} is a window, but ${source.name} has no event time; declare \`on\`.`,
      {
        view: view.name,
      },
    );
  }
  return planWindow(view, source, joinKeys(view.by, columns, source, view.name), event);
}

async function eventOf(view: LatestView | WindowView, source: SourceTable): Promise<Expression | undefined> {
  if (view.on === undefined) return source.event;
  const where = `features.${view.name}.on`;
  const event = await source.expression(view.on, where);
  if (!/^(TIMESTAMP|DATE)/.test(event.type)) {
    throw new RefitError('REFIT_EXPRESSION_INVALID', `The expression ${where} is a ${event.type}, not a time.`, {
      where,
      type: event.type,
    });
  }
  return event;
}
