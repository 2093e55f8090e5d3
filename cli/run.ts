import { Command, Option } from 'commander';
import { RefitClient, type Run } from '../client/index.ts';
import { placesOf } from '../core/compose/refit.ts';
import { loadPipeline } from '../core/pipeline/load.ts';
import type { RunHandle, RunInput } from '../core/spec/run.ts';
import { STAGES, type Stage } from '../core/spec/stages.ts';
import { canonicalAsOf } from '../core/spec/time.ts';
import { projectRoot } from './project.ts';
import { collectSet } from './set-option.ts';
import { openStack } from './stack.ts';
import { bold, dim, say } from './terminal.ts';
import { summary, watchRun } from './watch-run.ts';

interface Options {
  asOf?: string;
  set: Record<string, unknown>;
  force?: boolean;
  from?: Stage;
  key?: string;
  reason?: string;
  wait: boolean;
  json?: boolean;
}

export function runCommand(exit: (status: number) => void): Command {
  return new Command('run')
    .description('Run a pipeline through all six stages, as of a date.')
    .argument('<pipeline>', 'name of a folder under pipelines/')
    .option('--as-of <time>', 'logical date, UTC: nothing known later is used (default: the pipeline decides)')
    .option('--set <path=value>', 'override a setting of the pipeline; may be repeated', collectSet, {})
    .option('--force', 'compute every step anew, even where a result is cached')
    .addOption(new Option('--from <stage>', 'compute anew from this stage on').choices(STAGES))
    .option('--key <key>', 'idempotency key: whoever starts with it again is given the first result, for good')
    .option('--reason <text>', 'why this run is started; kept with it')
    .option('--no-wait', 'start the run and return (needs a server that stays: refit dev or TEMPORAL_ADDRESS)')
    .option('--json', 'print the RunResult (--no-wait: where the run is) as JSON on standard output')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (pipeline: string, options: Options) => exit(await run(pipeline, options)));
}

const EXAMPLES = `
Examples:
  refit run flight-delays --as-of 2014-01-01
  refit run flight-delays --as-of 2014-01-01 --set model.rounds=2000 --set model.earlyStopping=0
  refit run flight-delays --as-of 2014-01-01 --json | jq .metrics.test
  refit run flight-delays --as-of 2014-01-01 --from train --reason "new LightGBM"
  refit run flight-delays --as-of 2014-01-01 --key nightly-2014-01-01 --no-wait

A second run with the same inputs computes nothing and is "unchanged". Exit status: 0 promoted or unchanged, 1 failed,
2 wrong usage, 3 rejected by a gate or a person.`;

async function run(pipeline: string, options: Options): Promise<number> {
  const places = placesOf(projectRoot());
  const input: RunInput = {
    pipeline,
    ...(options.asOf === undefined ? {} : { asOf: canonicalAsOf(options.asOf) }),
    ...(Object.keys(options.set).length === 0 ? {} : { set: options.set }),
    ...(options.force ? { force: true } : {}),
    ...(options.from === undefined ? {} : { from: options.from }),
    ...(options.key === undefined ? {} : { key: options.key }),
    ...(options.reason === undefined ? {} : { reason: options.reason }),
  };
  // Wrong names and broken declarations are told before anything starts.
  await loadPipeline(places.pipelines, pipeline, options.set);
  const stack = await openStack(places);
  try {
    const started = await new RefitClient(stack.client).start(input, { trigger: 'cli' });
    say(`${bold(started.workflowId)} ${dim(`Temporal ${stack.address}${stack.ui ? `, UI ${stack.ui}` : ''}`)}`);
    if (!options.wait) return leave(started, stack.own, options);
    const result = await watchRun(started.handle, { quiet: options.json === true });
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    else process.stdout.write(summary(result, stack.ui));
    return result.verdict === 'rejected' ? 3 : 0;
  } finally {
    await stack.close();
  }
}

function leave(run: Run, own: boolean, { json }: Options): number {
  if (own) say(dim('The embedded server ends with this command; the run goes on when the next one starts it.'));
  const handle: RunHandle = run.toJSON();
  process.stdout.write(json ? `${JSON.stringify(handle)}\n` : `${handle.workflowId}\n`);
  return 0;
}
