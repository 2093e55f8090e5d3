import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { type ErrorCode, RefitError } from '../spec/errors.ts';
import { nearest } from '../spec/nearest.ts';
import { PipelineSpec, type SourceSpec } from '../spec/pipeline.ts';
import { transformComplaint } from '../spec/plan-transforms.ts';
import { shift } from '../spec/time.ts';
import { featureColumns, featureNames, viewComplaints } from './view-features.ts';

// Verbose: an error carries its schema, whose property names are worth suggesting.
const ajv = new Ajv2020({ allErrors: true, strict: false, verbose: true });
const matches = ajv.compile<PipelineSpec>(PipelineSpec);

/** Checks a pipeline as plain JSON: its shape, then what a schema cannot say. @throws RefitError REFIT_PIPELINE_INVALID */
export function validatePipeline(value: unknown, where: string): PipelineSpec {
  if (!matches(value)) throw invalid(where, explain(matches.errors ?? [], value));
  for (const complaint of complaints(value)) throw invalid(where, complaint);
  return value;
}

function invalid(where: string, complaint: string): RefitError {
  const code: ErrorCode = 'REFIT_PIPELINE_INVALID';
  return new RefitError(code, `${where}: ${complaint}.`, { place: complaint.split(' ')[0] });
}

/** What the schema cannot say: names that must be unique, references that must lead somewhere. */
function* complaints(spec: PipelineSpec): Generator<string> {
  const sources = Object.keys(spec.sources);
  const unknown = (name: string) => `source "${name}" is not declared${nearest(name, sources)}`;
  if (!spec.sources[spec.spine.source]) yield `spine.source: ${unknown(spec.spine.source)}`;
  if (spec.asOf === 'latest' && !spec.sources[spec.spine.source]?.eventTime) {
    yield `asOf "latest" needs an eventTime on source "${spec.spine.source}"`;
  }
  for (const [name, source] of Object.entries(spec.sources)) {
    yield* changeComplaints(`sources.${name}`, source);
    const isTable = source.format === 'duckdb' || source.format === 'postgres';
    if (isTable !== (source.table !== undefined))
      yield `sources.${name}: ${source.format} ${isTable ? 'needs' : 'has no'} table`;
  }
  const views = new Set<string>();
  const features = new Set<string>();
  for (const [index, view] of spec.features.entries()) {
    const place = `features.${index}`;
    if ('source' in view && !spec.sources[view.source]) yield `${place}: ${unknown(view.source)}`;
    yield* viewComplaints(view, place, features);
    if (view.kind === 'fields' && view.source !== spec.spine.source) {
      yield `${place}: fields() takes columns of the spine's source "${spec.spine.source}"; use latest() for "${view.source}"`;
    }
    if (views.has(view.name)) yield `${place}: two views are named "${view.name}"; give one of them a name`;
    views.add(view.name);
    for (const name of featureNames(view)) {
      if (features.has(name)) yield `${place}: two features are named "${name}"; rename one as { newName: 'column' }`;
      features.add(name);
    }
  }
  yield* transformComplaints(spec);
  const from = new Date('2020-01-01T00:00:00Z');
  if (shift(from, spec.split.train.min, 1) > shift(from, spec.split.train.max, 1)) {
    yield `split.train: min ${spec.split.train.min} is longer than max ${spec.split.train.max}`;
  }
  for (const [name, range] of Object.entries(spec.search.space)) {
    if (range.min > range.max) yield `search.space.${name}: min ${range.min} is above max ${range.max}`;
    if (range.log && range.min <= 0) yield `search.space.${name}: a logarithmic range starts above 0`;
  }
}

/** What can be said of transforms and selection before the data is there: kinds of most features show only then. */
function* transformComplaints({ features, transforms, select }: PipelineSpec): Generator<string> {
  const columns = features.flatMap(featureColumns);
  const complaint = transformComplaint(transforms ?? [], columns);
  if (complaint) yield complaint;
  if (!select) return;
  if (select.correlation === undefined && select.importance === undefined && !select.eliminate)
    yield 'select: it says nothing to select by; give it correlation, importance or eliminate';
  if (transforms) return;
  const names = columns.map(({ name }) => name);
  for (const name of select.always) {
    if (!names.includes(name)) yield `select.always: there is no feature "${name}"${nearest(name, names)}`;
  }
}

/** What change data must say of itself. */
function* changeComplaints(place: string, { changes, contract, knownAt, recordedAt }: SourceSpec): Generator<string> {
  if (!changes) return;
  const { key, op, version, time } = changes;
  const columns = Object.keys((contract.properties as object | undefined) ?? {});
  for (const name of [...key, ...[op, version, time].flatMap((one) => one ?? [])]) {
    if (!columns.includes(name))
      yield `${place}.changes names "${name}", which the contract does not${nearest(name, columns)}`;
  }
  if (version === undefined && time === undefined)
    yield `${place}.changes needs a version or a time to put changes in order`;
  if (time === undefined && recordedAt === undefined && knownAt?.['*'] === undefined) {
    yield `${place}.changes needs a time, or the source a knownAt: when was a change known`;
  }
}

/** The one complaint that helps: the deepest place, in the branch of a union that the value meant. */
function explain(errors: ErrorObject[], value: unknown): string {
  const branch = (path: string) => path.match(/^.*\/anyOf\/\d+/)?.[0];
  // A branch whose `kind` or `gate` literal does not match is not the one that was meant.
  const unmeant = new Set(
    errors
      .filter(({ keyword, instancePath }) => keyword === 'const' && /\/(kind|gate)$/.test(instancePath))
      .map((e) => branch(e.schemaPath)),
  );
  const meant = errors.filter((e) => e.keyword !== 'anyOf' && !unmeant.has(branch(e.schemaPath)));
  const worst = (meant.length > 0 ? meant : errors).toSorted((a, b) => depth(b) - depth(a))[0];
  if (!worst) return 'it is no pipeline';
  const place = worst.instancePath.slice(1).replaceAll('/', '.') || 'the pipeline';
  const params = worst.params as { additionalProperty?: string; allowedValues?: unknown[]; missingProperty?: string };
  if (params.additionalProperty) {
    const known = Object.keys((worst.parentSchema as { properties?: object } | undefined)?.properties ?? {});
    return `${place} has an unknown property "${params.additionalProperty}"${nearest(params.additionalProperty, known)}`;
  }
  if (params.missingProperty) {
    const here = meant.filter((e) => e.instancePath === worst.instancePath && e.schemaPath === worst.schemaPath);
    const missing = here.map((e) => JSON.stringify((e.params as { missingProperty?: string }).missingProperty));
    return `${place} lacks ${missing.join(', ')}`;
  }
  const got = JSON.stringify(
    worst.instancePath
      .slice(1)
      .split('/')
      .reduce<unknown>((at, part) => (at as Record<string, unknown>)?.[part], value),
  );
  if (params.allowedValues) return `${place} is ${got}, but may be ${params.allowedValues.map(String).join(', ')}`;
  return `${place} is ${got}, but ${worst.message ?? 'is not allowed'}`;
}

const depth = (error: ErrorObject) => error.instancePath.split('/').length;
