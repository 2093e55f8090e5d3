/** What a person means who asks what depends on something: a digest or its beginning, a name, a file. */
import { RefitError } from '../spec/errors.ts';
import { nearest } from '../spec/nearest.ts';
import type { KnownPartition, LineageGraph } from './lineage-graph.ts';
import type { KnownSnapshot } from './lineage-records.ts';

export const START_KINDS = [
  'file',
  'partition',
  'snapshot',
  'source',
  'view',
  'training-set',
  'pipeline',
  'model',
] as const;
export type StartKind = (typeof START_KINDS)[number];

/** Where a walk down the graph begins; `name` is written in full. */
export interface Start {
  kind: StartKind;
  name: string;
  partitions: KnownPartition[];
  snapshots: KnownSnapshot[];
  /** Digests. */
  views: string[];
  trainingSets: string[];
  /** `model@version`. */
  models: string[];
}

const nothing = { partitions: [], snapshots: [], views: [], trainingSets: [], models: [] };
const SHORTEST_DIGEST = 6;

/**
 * Finds what `text` names. `aliases`: other spellings of it, such as a path relative to the project's root, in order of
 * preference. `snapshot:` and the like in front say which kind is meant.
 * @throws RefitError REFIT_LINEAGE_UNKNOWN, REFIT_LINEAGE_AMBIGUOUS
 */
export function findStart(graph: LineageGraph, text: string, aliases: readonly string[] = []): Start {
  const [, prefix, rest = ''] = /^(?:([a-z-]+):)?(.+)$/s.exec(text.trim()) ?? [];
  const kind = START_KINDS.find((known) => known === prefix);
  const wanted = kind ? rest : text.trim().replace(/^sha256:/, '');
  const everything = candidates(graph);
  const allowed = kind ? everything.filter((one) => one.kind === kind) : everything;
  for (const spelling of new Set([wanted, ...aliases])) {
    const found = matching(allowed, spelling);
    if (found.length === 1) return found[0] as Start;
    if (found.length > 1) throw ambiguous(text, found);
  }
  throw unknown(text, wanted, allowed);
}

interface Candidate extends Start {
  /** Names it answers to, in full. */
  names: string[];
  /** Digests of which a beginning will do. */
  digests: string[];
}

/** Whole names and digests first; then ends of paths and beginnings of digests. */
function matching(candidates: readonly Candidate[], text: string): Candidate[] {
  const exact = candidates.filter(({ names, digests }) => names.includes(text) || digests.includes(text));
  if (exact.length > 0) return exact;
  const digest = text.toLowerCase();
  const isDigest = digest.length >= SHORTEST_DIGEST && /^[0-9a-f]+$/.test(digest);
  const tail = `/${text.replace(/^\.?\//, '')}`;
  return candidates.filter(
    ({ kind, names, digests }) =>
      (isDigest && digests.some((one) => one.startsWith(digest))) ||
      (kind === 'file' && text.length > 0 && names.some((name) => name.endsWith(tail))),
  );
}

/** Everything that can be named. A file is one thing under its name, and another under each digest that its bytes had. */
function candidates(graph: LineageGraph): Candidate[] {
  const { partitions, snapshots, trainingSets, versions } = graph;
  const views = [...trainingSets.values()].flatMap((set) => set.views);
  return [
    ...grouped(partitions.filter(isOfFile), ({ name }) => name).map(([name, own]) => ({
      ...{ ...nothing, kind: 'file' as const, name, partitions: own, names: [name], digests: [] },
    })),
    ...rawFiles(partitions),
    ...grouped(partitions, ({ sha256 }) => sha256).map(([digest, own]) => ({
      ...{ ...nothing, kind: 'partition' as const, name: digest, partitions: own, names: [], digests: [digest] },
    })),
    ...grouped(snapshots, ({ id }) => id).map(([id, own]) => ({
      ...{ ...nothing, kind: 'snapshot' as const, name: id, snapshots: own, names: [], digests: [id] },
    })),
    ...grouped(snapshots, ({ source }) => source).map(([source, own]) => ({
      ...{ ...nothing, kind: 'source' as const, name: source, snapshots: own, names: [source], digests: [] },
    })),
    ...grouped(views, ({ name }) => name).map(([name, own]) => ({
      ...{ ...nothing, kind: 'view' as const, name, views: digestsOf(own), names: [name], digests: [] },
    })),
    ...grouped(views, ({ digest }) => digest).map(([digest]) => ({
      ...{ ...nothing, kind: 'view' as const, name: digest, views: [digest], names: [], digests: [digest] },
    })),
    ...setDigests(graph).map((digest) => ({
      ...{
        ...nothing,
        kind: 'training-set' as const,
        name: digest,
        trainingSets: [digest],
        names: [],
        digests: [digest],
      },
    })),
    ...grouped(versions, ({ lineage }) => lineage.pipeline.digest).map(([digest, own]) => ({
      ...{ ...nothing, kind: 'pipeline' as const, name: digest, models: own.map(nameOf), names: [], digests: [digest] },
    })),
    ...grouped(versions, ({ sha256 }) => sha256).map(([digest, own]) => ({
      ...{ ...nothing, kind: 'model' as const, name: own.map(nameOf).join(', '), models: own.map(nameOf) },
      ...{ names: own.flatMap((one) => [nameOf(one), `${one.model}@v${one.version}`]), digests: [digest] },
    })),
  ];
}

/** What was folded of many files bears the name of none. */
const isOfFile = ({ name, folded }: KnownPartition) => folded.length === 0 || folded.some((part) => part.name === name);

/** One candidate for each digest of raw bytes; the file may have been read under several names. */
function rawFiles(partitions: KnownPartition[]): Candidate[] {
  const raws = partitions.flatMap((partition) => partition.raw.map((raw) => ({ raw, partition })));
  return grouped(raws, ({ raw }) => raw).map(([raw, own]) => ({
    ...{ ...nothing, kind: 'file' as const, name: raw, names: [], digests: [raw] },
    partitions: own.map(({ partition }) => partition),
  }));
}

const nameOf = ({ model, version }: { model: string; version: number }) => `${model}@${version}`;
const digestsOf = (views: readonly { digest: string }[]) => [...new Set(views.map(({ digest }) => digest))];

function setDigests({ trainingSets, versions }: LineageGraph): string[] {
  return [...new Set([...trainingSets.keys(), ...versions.map(({ lineage }) => lineage.trainingSet)])];
}

function grouped<Item>(items: readonly Item[], keyOf: (item: Item) => string): [string, Item[]][] {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return [...groups];
}

function ambiguous(text: string, found: readonly Candidate[]): RefitError {
  const spelled = found.map(({ kind, name }) => `${kind}:${name}`);
  const some = spelled.slice(0, 6).join(', ');
  const more = spelled.length > 6 ? ` and ${spelled.length - 6} more` : '';
  return new RefitError('REFIT_LINEAGE_AMBIGUOUS', `"${text}" may be ${some}${more}.`, { from: text, found: spelled });
}

function unknown(text: string, wanted: string, known: readonly Candidate[]): RefitError {
  const names = known.flatMap((one) => one.names);
  const bare = [...new Set(names.map((name) => name.split('/').at(-1) ?? name))];
  const hint = known.length === 0 ? '; the store knows of nothing yet' : nearest(wanted.split('/').at(-1) ?? '', bare);
  return new RefitError('REFIT_LINEAGE_UNKNOWN', `Nothing in the store is, or came from, "${text}"${hint}.`, {
    from: text,
  });
}
