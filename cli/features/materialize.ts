import { randomUUID } from 'node:crypto';
import { Command } from 'commander';
import { servedSpec } from '../../core/compose/served-spec.ts';
import { materializeOnline } from '../../core/features/materialize.ts';
import type { Materialization } from '../../core/spec/materialization.ts';
import { canonicalAsOf } from '../../core/spec/time.ts';
import { bold, count, dim, say } from '../terminal.ts';
import { print, withStack } from '../with-stack.ts';
import { extractSources, inspectSources, isoSeconds, newestEventOf } from './extract-sources.ts';
import { withScratch } from './with-scratch.ts';

interface Options {
  pipeline: string;
  asOf?: string;
  force?: boolean;
  workflow?: boolean;
  json?: boolean;
}

export function materializeCommand(exit: (status: number) => void): Command {
  return new Command('materialize')
    .description('Bring the online features of a pipeline to a date; nothing newer is overwritten.')
    .requiredOption('--pipeline <name>', 'whose features: as the champion declares them, else as pipeline.ts does')
    .option('--as-of <time>', 'logical date, UTC (default: the pipeline decides)')
    .option('--force', 'write everything, not just what changed since the last time')
    .option('--workflow', 'as the workflow materializeFeatures, on the workers of Temporal')
    .option('--json', 'print what was written as JSON on standard output')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (options: Options) => exit(await materialize(options)));
}

const EXAMPLES = `
Examples:
  refit features materialize --pipeline flight-delays
  refit features materialize --pipeline flight-delays --as-of 2013-12-01T06:00:00Z
  refit features materialize --pipeline flight-delays --workflow

Every run does this by itself; it is for fresh values between runs.`;

async function materialize({ pipeline, asOf, force, workflow, json }: Options): Promise<number> {
  const limit = asOf === undefined ? undefined : canonicalAsOf(asOf);
  const done = await (workflow ? onWorkers(pipeline, limit, force) : here(pipeline, limit, force));
  print(done, json, () => text(done));
  return 0;
}

function onWorkers(pipeline: string, asOf: string | undefined, force: boolean | undefined): Promise<Materialization> {
  return withStack(({ client, stack }) => {
    say(`${bold(`materialize/${pipeline}/${asOf ?? 'latest'}`)} ${dim(`Temporal ${stack.address}`)}`);
    return client.materialize({ pipeline, asOf, force }, { trigger: 'cli' });
  });
}

/** In this process: no server is needed. */
async function here(pipeline: string, limit: string | undefined, force: boolean | undefined): Promise<Materialization> {
  const started = performance.now();
  return withScratch(async ({ refit, context }): Promise<Materialization> => {
    const spec = await servedSpec(refit, pipeline);
    const work = { refit, spec, signal: context.signal };
    const inspected = await inspectSources(work);
    const end = spec.asOf === 'latest' ? newestEventOf(inspected, [spec.spine.source]) : undefined;
    const asOf = limit ?? end ?? isoSeconds(Date.now() - 1000);
    const snapshots = await extractSources(work, inspected, { asOf, fresh: true });
    const store = refit.online();
    const input = { pipeline, spine: spec.spine, views: spec.features, snapshots, asOf };
    const forced = force ? { force: randomUUID() } : {};
    const { namespace: _, ...done } = await materializeOnline({ ...input, ...forced }, store, context);
    const seconds = Math.round(performance.now() - started) / 1000;
    return { pipeline, ...done, store: store.address, seconds };
  });
}

function text({ pipeline, asOf, entities, rows, written, incremental, store, seconds }: Materialization): string {
  const what = incremental ? 'changed rows' : 'rows';
  return `${bold(pipeline)} as of ${asOf}: ${count(entities)} entities to come, ${count(written)} of ${count(rows)} ${what} were newer than those in ${store} (${seconds.toFixed(1)} s)`;
}
