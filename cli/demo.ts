import { Command } from 'commander';
import { RefitClient } from '../client/index.ts';
import { compose, type Places, placesOf } from '../core/compose/refit.ts';
import type { RunResult } from '../core/spec/run.ts';
import { type PredictedEntity, predictUpcoming } from './predict-upcoming.ts';
import { projectRoot } from './project.ts';
import { openStack, type Stack } from './stack.ts';
import { bold, dim, green, say, table, yellow } from './terminal.ts';
import { summary, watchRun } from './watch-run.ts';

const PIPELINE = 'flight-delays';
const DATES = ['2013-10-01T00:00:00Z', '2013-12-01T00:00:00Z'] as const;
const FLIGHTS = 5;

interface Options {
  json?: boolean;
}

export function demoCommand(exit: (status: number) => void): Command {
  return new Command('demo')
    .description(
      'The whole life of a model on the flights of New York in 2013: two runs two months apart, drift, predictions.',
    )
    .option('--json', 'print both RunResults and the predictions as JSON on standard output')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (options: Options) => exit(await demo(options)));
}

const EXAMPLES = `
Examples:
  refit demo
  refit demo --json | jq '.runs[].metrics.test'

A second time everything is found in the step cache.`;

async function demo({ json }: Options): Promise<number> {
  const places = placesOf(projectRoot());
  const started = Date.now();
  say(bold('Will this flight arrive more than 15 minutes late? Asked one hour before its scheduled departure.'));
  const stack = await openStack(places);
  try {
    say(dim(`Temporal ${stack.address}${stack.ui ? `, UI ${stack.ui}` : ''}`));
    const runs: RunResult[] = [];
    for (const [index, asOf] of DATES.entries()) runs.push(await act(stack, index + 1, asOf, json === true));
    const last = runs.at(-1) as RunResult;
    if (!json) drift(last);
    const predicted = await predict(places, last.asOf);
    if (json) process.stdout.write(`${JSON.stringify({ runs, predictions: predicted.flights })}\n`);
    else process.stdout.write(predictions(predicted.version, last.asOf, predicted.flights));
    say(
      dim(
        `\nThe demo took ${((Date.now() - started) / 1000).toFixed(0)} s. Run it again: everything is found in the step cache.`,
      ),
    );
    say(`Report   ${last.report}`);
    say(`Go on    npx --no refit run ${PIPELINE} --as-of 2014-01-01`);
    return 0;
  } finally {
    await stack.close();
  }
}

async function act(stack: Stack, number: number, asOf: string, quiet: boolean): Promise<RunResult> {
  say(`\n${bold(`Run ${number}: as of ${asOf.slice(0, 10)}`)} ${dim('(nothing that became known later is used)')}`);
  const { handle } = await new RefitClient(stack.client).start({ pipeline: PIPELINE, asOf }, { trigger: 'demo' });
  const result = await watchRun(handle, { quiet });
  if (!quiet) process.stdout.write(summary(result, stack.ui));
  return result;
}

function drift({ drift: { drifted, share }, asOf }: RunResult): void {
  const text =
    drifted.length > 0 ? `${drifted.join(', ')} moved away from what the champion was trained on` : 'no feature moved';
  process.stdout.write(
    `${bold('Drift')} in the 30 days before ${asOf.slice(0, 10)}: ${text} (${(share * 100).toFixed(0)} % of the features).\n`,
  );
}

async function predict(places: Places, asOf: string): Promise<{ version: number; flights: PredictedEntity[] }> {
  const refit = compose(places);
  try {
    const { version, entities } = await predictUpcoming(refit, PIPELINE, asOf, FLIGHTS);
    return { version, flights: entities };
  } finally {
    await refit.close();
  }
}

function predictions(version: number, asOf: string, flights: PredictedEntity[]): string {
  const happened = (label: boolean | null) =>
    label === null ? dim('never arrived') : label ? yellow('late') : green('on time');
  const rows = flights.map(({ key, predictAt, fields, score, label }) => [
    Object.values(key).join(' '),
    predictAt.replace('T', ' ').replace(/:00Z$/, 'Z'),
    `${fields.origin ?? '?'} → ${fields.dest ?? '?'}`,
    `${(score * 100).toFixed(0)} %`,
    happened(label),
  ]);
  const title = `The next flights after ${asOf.slice(0, 10)}, by champion version ${version} from online features as of then:`;
  return `\n${bold(title)}\n${table(['flight', 'asked at (UTC)', 'route', 'late?', 'what happened'], rows, [3])}\n`;
}
