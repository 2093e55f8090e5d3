import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import { joinSpine } from '../../core/features/join-spine.ts';
import { inspectSpine, type TableFile } from '../../core/features/spine-file.ts';
import { loadPipeline } from '../../core/pipeline/load.ts';
import type { FeatureJoin } from '../../core/spec/cli.ts';
import { RefitError } from '../../core/spec/errors.ts';
import { canonicalAsOf } from '../../core/spec/time.ts';
import { bold, count, dim, say, yellow } from '../terminal.ts';
import { print } from '../with-stack.ts';
import { extractSources, inspectSources, isoSeconds, newestEventOf } from './extract-sources.ts';
import { withScratch } from './with-scratch.ts';

interface Options {
  pipeline: string;
  spine: string;
  out: string;
  asOf?: string;
  json?: boolean;
}

export function joinCommand(exit: (status: number) => void): Command {
  return new Command('join')
    .description('Add the features of a pipeline to a table, each value as it was known at the predict_at of its row.')
    .requiredOption('--pipeline <name>', 'whose features')
    .requiredOption('--spine <file>', 'Parquet or CSV with predict_at (UTC) and the key columns')
    .requiredOption(
      '--out <file>',
      'Parquet, or CSV by its name: the same rows in the same order, one more column a feature',
    )
    .option('--as-of <time>', 'count nothing that became known later (default: the end of the data)')
    .option('--json', 'print what was written as JSON on standard output')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (options: Options) => exit(await join(options)));
}

const EXAMPLES = `
Examples:
  refit features join --pipeline flight-delays --spine asked.parquet --out features.parquet
  refit features join --pipeline flight-delays --spine asked.csv --out features.csv --as-of 2013-10-01

The spine has the key columns of the views (origin, tailnum, …), or the key of the pipeline (flight_id), by which the others
are looked up. All its columns are kept. A key that is null or unknown gives nulls.`;

async function join({ pipeline, json, ...options }: Options): Promise<number> {
  const started = performance.now();
  const from = tableFile(options.spine);
  const to = tableFile(options.out);
  if (!existsSync(from.path))
    throw new RefitError('REFIT_USAGE', `There is no spine ${options.spine}.`, { spine: from.path });
  if (!existsSync(path.dirname(to.path))) {
    throw new RefitError('REFIT_USAGE', `There is no folder ${path.dirname(to.path)} to write to.`, { out: to.path });
  }
  const limit = options.asOf === undefined ? undefined : canonicalAsOf(options.asOf);
  const written = await withScratch(async ({ refit, context }): Promise<FeatureJoin> => {
    const spec = await loadPipeline(refit.places.pipelines, pipeline);
    const { newest } = await inspectSpine(from, context);
    const work = { refit, spec, signal: context.signal };
    const inspected = await inspectSources(work);
    const asOf = limit ?? endOf([newestEventOf(inspected, Object.keys(spec.sources)), newest]);
    const snapshots = await extractSources(work, inspected, { asOf, fresh: false });
    // In the folder of the result, so that it can be put in place in one go.
    const draft: TableFile = { ...to, path: `${to.path}.${process.pid}.part` };
    try {
      const input = { spine: spec.spine, views: spec.features, snapshots, asOf, from, to: draft };
      const joined = await joinSpine(input, context);
      await rename(draft.path, to.path);
      const seconds = Math.round(performance.now() - started) / 1000;
      return { pipeline, asOf, out: to.path, ...joined, seconds };
    } finally {
      await rm(draft.path, { force: true });
    }
  });
  if (written.empty.length > 0) {
    say(
      yellow(
        `Empty, because the spine has neither ${pipeline}'s key nor what they are made of: ${written.empty.join(', ')}`,
      ),
    );
  }
  print(written, json, () => text(written));
  return 0;
}

/** Everything that is known by then is known: later than any event and than any time that is asked about. */
function endOf(times: (string | null | undefined)[]): string {
  const known = times.flatMap((time) => (time ? [Date.parse(time)] : []));
  return isoSeconds(known.length > 0 ? Math.max(...known) : Date.now());
}

/** A table by its file's name: `asked.csv`, `asked.tsv`, either with `.gz`; Parquet otherwise. */
export function tableFile(file: string): TableFile {
  const [, kind, gzip] = /\.(csv|tsv)(\.gz)?$/i.exec(file) ?? [];
  if (kind === undefined) return { path: path.resolve(file), format: 'parquet' };
  return {
    path: path.resolve(file),
    format: 'csv',
    ...(kind.toLowerCase() === 'tsv' ? { delimiter: '\t' } : {}),
    ...(gzip ? { compression: 'gzip' } : {}),
  };
}

function text({ out, rows, features, given, asOf, seconds }: FeatureJoin): string {
  const kept = given.length > 0 ? dim(`, of which the spine brings ${given.join(', ')}`) : '';
  return `${bold(out)}: ${count(rows)} rows, ${features.length} features${kept}\n${dim(`as of ${asOf}, in ${seconds.toFixed(1)} s`)}`;
}
