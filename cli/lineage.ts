import { stat } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import type { Refit } from '../core/compose/refit.ts';
import { findModelVersion } from '../core/registry/describe.ts';
import { traceLineage } from '../core/registry/lineage.ts';
import { traceImpact } from '../core/registry/lineage-impact.ts';
import { RefitError } from '../core/spec/errors.ts';
import { hashFile } from '../core/store/digest.ts';
import { impactText, treeText } from './lineage-text.ts';
import { print, withStore } from './with-stack.ts';

interface Options {
  from?: string;
  json?: boolean;
}

export function lineageCommand(exit: (status: number) => void): Command {
  return new Command('lineage')
    .description(
      'Show what a version was made of (raw files → snapshots → views → training set → model), or what was made of a file.',
    )
    .argument('[model@version]', 'back from a version to the raw files')
    .option('--from <what>', 'forwards: all that depends on a file, a digest, a snapshot, a source or a view')
    .option('--json', 'print it as JSON on standard output, digests in full')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (name: string | undefined, options: Options) => exit(await lineage(name, options)));
}

const EXAMPLES = `
Examples:
  refit lineage flight-delays@2
  refit lineage flight-delays@2 --json | jq -r '.sources[].partitions[] | "\\(.raw[0])  \\(.name)"' | sha256sum --check
  refit lineage --from data/nycflights13/flights/2013-03.parquet     this file was wrong: what must be trained again?
  refit lineage --from 2013-03.parquet --json | jq -r '.retrain[]'
  refit lineage --from 3f5a09c1                                      any digest, or its first six characters or more
  refit lineage --from source:weather                                what "weather" means, where several things are called so

--from takes file, partition, snapshot, source, view, training-set, pipeline or model and a colon in front, to say what is meant.`;

async function lineage(name: string | undefined, { from, json }: Options): Promise<number> {
  if ((name === undefined) === (from === undefined)) {
    const both = name === undefined ? 'Name a version' : `Name either a version ("${name}")`;
    throw new RefitError('REFIT_USAGE', `${both}, or with --from what it was made of.`);
  }
  await withStore(async (refit) => {
    if (from !== undefined) {
      const impact = await traceImpact(refit.objects, from, await aliasesOf(refit, from));
      print(impact, json, () => impactText(impact));
      return;
    }
    const { model, version } = await findModelVersion(refit.objects, name ?? '');
    const tree = await traceLineage(refit.objects, model, version);
    print(tree, json, () => treeText(tree));
  });
  return 0;
}

/** Other spellings of a file: as the project names it, and by the digest of its bytes, wherever it lies. */
async function aliasesOf({ places: { root } }: Refit, text: string): Promise<string[]> {
  const bare = text.replace(/^file:/, '');
  const file = path.resolve(bare);
  const found = await stat(file).catch(() => undefined);
  const inProject = path.relative(root, file).split(path.sep).join('/');
  const digest = found?.isFile() ? [await hashFile(file)] : [];
  return [...(inProject.startsWith('..') ? [] : [inProject]), ...digest];
}
