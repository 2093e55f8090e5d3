import { Command } from 'commander';
import { findModelVersion } from '../core/registry/describe.ts';
import { traceLineage } from '../core/registry/lineage.ts';
import type { LineageTree } from '../core/spec/cli.ts';
import { bold, count, dim } from './terminal.ts';
import { print, withStore } from './with-stack.ts';

export function lineageCommand(exit: (status: number) => void): Command {
  return new Command('lineage')
    .description('Show what a version was made of: raw files → snapshots → training set → model, by digest.')
    .argument('<model@version>')
    .option('--json', 'print the tree as JSON on standard output, digests in full')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (name: string, { json }: { json?: boolean }) => exit(await lineage(name, json)));
}

const EXAMPLES = `
Examples:
  refit lineage flight-delays@2
  refit lineage flight-delays@2 --json | jq -r '.sources[].partitions[] | "\\(.raw[0])  \\(.name)"' | sha256sum --check`;

async function lineage(name: string, json: boolean | undefined): Promise<number> {
  const tree = await withStore(async ({ objects }) => {
    const { model, version } = await findModelVersion(objects, name);
    return traceLineage(objects, model, version);
  });
  print(tree, json, () => treeText(tree));
  return 0;
}

const short = (digest: string) => dim(digest.slice(0, 12));

function treeText({ model, version, asOf, sha256, pipeline, runs, trainingSet, sources }: LineageTree): string {
  const { rows } = trainingSet;
  const counted = rows ? `, ${count(rows.train)} + ${count(rows.validate)} + ${count(rows.test)} rows` : '';
  const lines = [
    `${bold(`${model}@${version}`)} ${short(sha256)} as of ${asOf}`,
    ...runs.map(({ workflowId, runId }) => `├─ decided by ${workflowId} ${dim(runId)}`),
    `├─ declaration ${short(pipeline)}`,
    `└─ training set ${short(trainingSet.digest)}${counted}`,
  ];
  for (const [index, { source, snapshot, partitions }] of sources.entries()) {
    const last = index === sources.length - 1;
    lines.push(`   ${last ? '└─' : '├─'} ${bold(source)} snapshot ${short(snapshot)}`);
    for (const [place, partition] of partitions.entries()) {
      const corner = place === partitions.length - 1 ? '└─' : '├─';
      lines.push(`   ${last ? '  ' : '│ '} ${corner} ${partitionText(partition)}`);
    }
  }
  return lines.join('\n');
}

function partitionText({ name, sha256, rows, raw }: LineageTree['sources'][number]['partitions'][number]): string {
  const from = raw.length === 0 ? 'a file that is not recorded any more' : raw.map(short).join(' or ');
  return `${short(sha256)} ← ${name} ${from}${rows === null ? '' : `, ${count(rows)} rows`}`;
}
