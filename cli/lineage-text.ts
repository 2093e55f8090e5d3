/** Lineage as trees for people: digests cut to twelve characters, which is enough to ask for them. */
import type { LineageImpact, LineageTree } from '../core/spec/cli.ts';
import { bold, count, dim, green, yellow } from './terminal.ts';

const short = (digest: string) => dim(digest.slice(0, 12));

interface Node {
  text: string;
  under?: Node[];
}

/** Lines of a tree; the root stands at the margin. */
function drawn({ text, under = [] }: Node): string[] {
  return [
    text,
    ...under.flatMap((node, index) => {
      const last = index === under.length - 1;
      const [first = '', ...rest] = drawn(node);
      return [`${last ? '└─' : '├─'} ${first}`, ...rest.map((line) => `${last ? '  ' : '│ '} ${line}`)];
    }),
  ];
}

type Rows = LineageTree['trainingSet']['rows'];
const rowsText = (rows: Rows) =>
  rows ? `, ${count(rows.train)} + ${count(rows.validate)} + ${count(rows.test)} rows` : '';

/** From the model back to the files. */
export function treeText(tree: LineageTree): string {
  const { model, version, asOf, sha256, pipeline, runs, trainingSet, views, sources } = tree;
  const readBy = (source: string) => {
    const spine = trainingSet.spine === source ? ['rows and labels'] : [];
    const readers = [...spine, ...views.filter((view) => view.source === source).map(({ name }) => name)];
    return readers.length === 0 ? '' : ` ${dim(`read by ${readers.join(', ')}`)}`;
  };
  const root: Node = {
    text: `${bold(`${model}@${version}`)} ${short(sha256)} as of ${asOf}`,
    under: [
      ...runs.map(({ workflowId, runId }) => ({ text: `decided by ${workflowId} ${dim(runId)}` })),
      { text: `declaration ${short(pipeline)}` },
      {
        text: `training set ${short(trainingSet.digest)}${rowsText(trainingSet.rows)}`,
        under: [
          ...views.map((view) => ({
            text: `view ${bold(view.name)} ${short(view.digest)} ${view.kind}${view.source && ` of ${view.source}`}`,
          })),
          ...sources.map(({ source, snapshot, partitions }) => ({
            text: `snapshot ${bold(source)} ${short(snapshot)}${readBy(source)}`,
            under: partitions.map(partitionNode),
          })),
        ],
      },
    ],
  };
  return drawn(root).join('\n');
}

type Partition = LineageTree['sources'][number]['partitions'][number];

function partitionNode({ folded, ...own }: Partition): Node {
  if (folded.length === 0) return { text: fileText(own) };
  const text = `${short(own.sha256)} ${own.name}${rowsOf(own.rows)}, folded from`;
  return { text, under: bounded(folded.map((part) => ({ text: fileText(part) }))) };
}

function fileText({ name, sha256, rows, raw }: Omit<Partition, 'folded'>): string {
  const from = raw.length === 0 ? 'a file that is not recorded any more' : raw.map(short).join(' or ');
  return `${short(sha256)} ← ${name} ${from}${rowsOf(rows)}`;
}

const rowsOf = (rows: number | null) => (rows === null ? '' : `, ${count(rows)} row${rows === 1 ? '' : 's'}`);

const SHOWN = 20;

/** The first nodes, and how many more there are. */
function bounded(nodes: Node[]): Node[] {
  if (nodes.length <= SHOWN) return nodes;
  return [...nodes.slice(0, SHOWN), { text: dim(`and ${count(nodes.length - SHOWN)} more: see --json`) }];
}

/** From a file (or what else was asked about) to the models. */
export function impactText(impact: LineageImpact): string {
  const { from, partitions, snapshots, views, trainingSets, models, retrain } = impact;
  const name = /^[0-9a-f]{64}$/.test(from.name) ? short(from.name) : bold(from.name);
  const standing = new Map(models.map((one) => [`${one.model}@${one.version}`, one]));
  const without = models.filter(({ trainingSet }) => !trainingSets.some(({ digest }) => digest === trainingSet));
  const versionNode = (key: string): Node => {
    const one = standing.get(key);
    const state = one?.state === 'champion' ? green('champion') : (one?.state ?? '');
    return { text: `${bold(key)} ${short(one?.sha256 ?? '')} ${state}` };
  };
  const root: Node = {
    text: `${from.kind} ${name}`,
    under: [
      ...bounded(partitions.map((one) => partitionOf(one.source, partitionNode(one)))),
      ...bounded(
        snapshots.map(({ source, snapshot, partitions: files }) => ({
          text: `snapshot ${bold(source)} ${short(snapshot)} of ${count(files)} file${files === 1 ? '' : 's'}`,
        })),
      ),
      ...bounded(
        views.map((view) => ({
          text: `view ${bold(view.name)} ${short(view.digest)} ${view.kind}${view.source && ` of ${view.source}`}`,
        })),
      ),
      ...bounded(
        trainingSets.map((set) => ({
          text: `training set ${short(set.digest)}${set.asOf === null ? '' : ` as of ${set.asOf}`}${rowsText(set.rows)}`,
          under: set.models.map(versionNode),
        })),
      ),
      ...without.map(({ model, version }) => versionNode(`${model}@${version}`)),
    ],
  };
  return [...drawn(root), '', verdict(impact, retrain)].join('\n');
}

const partitionOf = (source: string, node: Node): Node => ({ ...node, text: `extracted for ${source}: ${node.text}` });

function verdict({ models }: LineageImpact, retrain: string[]): string {
  if (models.length === 0) return 'No model version depends on it.';
  const versions = `${count(models.length)} version${models.length === 1 ? '' : 's'}`;
  if (retrain.length === 0) return `${versions} depend${models.length === 1 ? 's' : ''} on it; none of them serves.`;
  return `${versions} depend${models.length === 1 ? 's' : ''} on it. ${yellow(`If it was wrong, train again: ${retrain.join(', ')}`)}`;
}
