/** From a file, a snapshot, a view or a training set to all that was made of it: what is wrong if that was wrong. */
import type { LineageImpact } from '../spec/cli.ts';
import type { ObjectStore } from '../store/ports.ts';
import { type LineageGraph, readGraph, standings } from './lineage-graph.ts';
import type { KnownView } from './lineage-records.ts';
import { findStart, type Start } from './lineage-start.ts';
import type { VersionManifest } from './schemas.ts';

/** @throws RefitError REFIT_LINEAGE_UNKNOWN, REFIT_LINEAGE_AMBIGUOUS, REFIT_REGISTRY_DAMAGED */
export async function traceImpact(
  objects: ObjectStore,
  text: string,
  aliases: readonly string[] = [],
): Promise<LineageImpact> {
  const graph = await readGraph(objects);
  const start = withFolds(graph, findStart(graph, text, aliases));
  const snapshots = touchedSnapshots(graph, start);
  const touched = new Set(snapshots.map(({ source, id }) => `${source} ${id}`));
  const sets = touchedSets(graph, start, touched);
  const versions = graph.versions.filter((version) => isTouched(version, start, touched, sets));
  const states = await standings(objects, versions);
  const models = versions.map(({ model, version, asOf, sha256, lineage }) => ({
    ...{ model, version, asOf, sha256, trainingSet: lineage.trainingSet },
    state: states.get(`${model}@${version}`) ?? ('undecided' as const),
  }));
  const serving = models.filter(({ state }) => state === 'champion').map(({ model }) => model);
  return {
    from: { kind: start.kind, name: start.name },
    partitions: start.partitions,
    snapshots: snapshots.map(({ source, id, partitions }) => ({ source, snapshot: id, partitions: partitions.length })),
    views: touchedViews(graph, start, sets, new Set(snapshots.map(({ source }) => source))),
    trainingSets: sets.map((digest) => ({
      ...{
        digest,
        asOf: graph.trainingSets.get(digest)?.asOf ?? null,
        rows: graph.trainingSets.get(digest)?.rows ?? null,
      },
      models: models
        .filter(({ trainingSet }) => trainingSet === digest)
        .map(({ model, version }) => `${model}@${version}`),
    })),
    models: models.sort((a, b) => (a.model < b.model ? -1 : a.model > b.model ? 1 : a.version - b.version)),
    retrain: [...new Set(serving)].sort(),
  };
}

/** With the partitions that were folded from those it begins with, and from these in turn. */
function withFolds({ partitions, folds }: LineageGraph, start: Start): Start {
  const reached = new Set(start.partitions.map(({ source, sha256 }) => `${source} ${sha256}`));
  const begun = new Set(start.partitions);
  for (let before = -1; before < reached.size; ) {
    before = reached.size;
    for (const { source, data, of } of folds) {
      if (of.some((part) => reached.has(`${source} ${part}`))) reached.add(`${source} ${data}`);
    }
  }
  const folded = partitions.filter((one) => one.folded.length > 0 && reached.has(`${one.source} ${one.sha256}`));
  return { ...start, partitions: [...start.partitions, ...folded.filter((one) => !begun.has(one))] };
}

/** Those that hold one of the partitions, and those that were named. */
function touchedSnapshots({ snapshots }: LineageGraph, start: Start): LineageGraph['snapshots'] {
  const partitions = new Set(start.partitions.map(({ name, sha256 }) => `${name} ${sha256}`));
  const holds = snapshots.filter((one) => one.partitions.some(({ name, data }) => partitions.has(`${name} ${data}`)));
  return [...new Set([...start.snapshots, ...holds])].sort((a, b) =>
    a.source < b.source ? -1 : a.source > b.source ? 1 : 0,
  );
}

function touchedSets(graph: LineageGraph, start: Start, touched: ReadonlySet<string>): string[] {
  const made = [...graph.trainingSets.values()].filter(
    ({ snapshots, views }) =>
      Object.entries(snapshots).some(([source, id]) => touched.has(`${source} ${id}`)) ||
      views.some(({ digest }) => start.views.includes(digest)),
  );
  const known = new Set([...start.trainingSets, ...made.map(({ digest }) => digest)]);
  // Where the record of a training set is gone, its version still says what it was made of.
  for (const { lineage } of graph.versions) {
    const sources = Object.entries(lineage.sources);
    if (sources.some(([source, { snapshot }]) => touched.has(`${source} ${snapshot}`))) known.add(lineage.trainingSet);
  }
  const asOf = (digest: string) => graph.trainingSets.get(digest)?.asOf ?? '';
  return [...known].sort((a, b) => (asOf(a) < asOf(b) ? -1 : asOf(a) > asOf(b) ? 1 : 0));
}

function isTouched(
  { model, version, lineage }: VersionManifest,
  start: Start,
  touched: ReadonlySet<string>,
  sets: readonly string[],
): boolean {
  return (
    start.models.includes(`${model}@${version}`) ||
    sets.includes(lineage.trainingSet) ||
    Object.entries(lineage.sources).some(([source, { snapshot }]) => touched.has(`${source} ${snapshot}`))
  );
}

/** Views of the training sets that read a touched source, or that were named. */
function touchedViews(
  { trainingSets }: LineageGraph,
  start: Start,
  sets: readonly string[],
  sources: ReadonlySet<string>,
): KnownView[] {
  const found = new Map<string, KnownView>();
  for (const digest of sets) {
    for (const view of trainingSets.get(digest)?.views ?? []) {
      if (sources.has(view.source) || start.views.includes(view.digest)) found.set(view.digest, view);
    }
  }
  return [...found.values()];
}
