import { Command, InvalidArgumentError } from 'commander';
import { asRefitError } from '../client/index.ts';
import { loadPipeline } from '../core/pipeline/load.ts';
import { RefitError } from '../core/spec/errors.ts';
import type { PipelineSpec } from '../core/spec/pipeline.ts';
import type { BackfillReport, BackfillRun } from '../core/spec/schedules.ts';
import { canonicalAsOf } from '../core/spec/time.ts';
import { digestOf } from '../core/store/digest.ts';
import { type BackfillRequest, backfillIdOf, closeBackfill, openBackfill } from '../schedules/backfill.ts';
import { backfillTimes } from '../schedules/backfill-times.ts';
import { followBackfill } from '../schedules/follow-backfill.ts';
import { isTransient } from './schedules-desk.ts';
import { bold, dim, green, LiveLine, red, say, table, yellow } from './terminal.ts';
import { type Desk, print, withStack } from './with-stack.ts';

interface Options {
  from: string;
  to: string;
  every: string;
  atOnce: number;
  stop?: boolean;
  json?: boolean;
}

/** Left by Ctrl-C: as a shell reports it. */
const INTERRUPTED = 130;

export function backfillCommand(exit: (status: number) => void): Command {
  return new Command('backfill')
    .description('Run a pipeline as of many dates of the past, one after the other; can be left and taken up again.')
    .argument('<pipeline>')
    .requiredOption('--from <time>', 'first date, UTC', canonicalAsOf)
    .requiredOption('--to <time>', 'last date, UTC; a run as of that very date is included', canonicalAsOf)
    .requiredOption('--every <duration>', 'distance of the dates: 6h, 1d, 2w, 1mo, 1y')
    .option('--at-once <n>', 'how many runs side by side; more than one gives up their order', upTo(16), 1)
    .option('--stop', 'start no more runs of this backfill; one under way goes on')
    .option('--json', 'print the runs as JSON on standard output')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (pipeline: string, options: Options) => exit(await backfill(pipeline, options)));
}

const EXAMPLES = `
Examples:
  refit backfill flight-delays --from 2013-10-01 --to 2013-12-01 --every 1mo      three runs
  refit backfill flight-delays --from 2013-10-01 --to 2013-12-01 --every 1mo      again: goes on, or finds all cached
  refit backfill flight-delays --from 2013-10-01 --to 2013-12-01 --every 1mo --stop

Dates are counted from --from: 2020-01-31 every 1mo is followed by 2020-02-29 and 2020-03-31. The runs belong to the server, so
Ctrl-C stops the watching only; the same command goes on with what is left, and runs again what failed.

One after the other, each candidate meets the champion of its own time. With --at-once 4, an older one may end after a newer one
was promoted, and is then rejected: an older asOf never displaces a newer champion.

Exit status: 0 all runs ended (promoted, unchanged or rejected), 1 a run failed, 2 wrong usage.`;

const upTo = (most: number) => (text: string) => {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > most) throw new InvalidArgumentError(`1 to ${most} runs.`);
  return count;
};

async function backfill(pipeline: string, { stop, json, ...options }: Options): Promise<number> {
  const { from, to, every, atOnce } = options;
  const times = backfillTimes({ from, to, every });
  const last = times.at(-1) ?? to;
  if (Date.parse(last) > Date.now())
    throw new RefitError('REFIT_USAGE', `--to ${to} lies in the future: there is no data yet.`);
  const report = await withStack(async (desk) => {
    const spec = await loadPipeline(desk.places.pipelines, pipeline);
    const request: BackfillRequest = { pipeline, from, to, every, atOnce, declaration: digestOf(spec) };
    return stop ? stopBackfill(desk, request) : follow(desk, request, spec, json === true);
  });
  if (json || !stop) print(report, json, () => reportText(report));
  if (report.runs.some(({ status }) => status === 'failed' || status === 'cancelled')) return 1;
  return report.complete || stop ? 0 : INTERRUPTED;
}

async function stopBackfill({ stack }: Desk, request: BackfillRequest): Promise<BackfillReport> {
  const { declaration: _, ...range } = request;
  const existed = await closeBackfill(stack.client.schedule, request);
  say(
    existed
      ? 'No more runs of this backfill are started; one that is under way goes on.'
      : 'There is no such backfill.',
  );
  return { backfill: backfillIdOf(request), ...range, complete: false, runs: [] };
}

async function follow(
  desk: Desk,
  request: BackfillRequest,
  spec: PipelineSpec,
  quiet: boolean,
): Promise<BackfillReport> {
  const { client } = desk.stack;
  const { slices, joined } = await openBackfill(client.schedule, request);
  const { declaration: _, ...range } = { ...request, atOnce: slices.length };
  const id = backfillIdOf(request);
  say(`${bold(id)} ${dim(joined ? 'goes on' : `${slices.flatMap(({ times }) => times).length} runs`)}`);
  if (joined && request.atOnce !== slices.length)
    say(dim(`It was started with --at-once ${slices.length}, and stays so.`));
  if (spec.promote.approval === 'required')
    say(dim('Each version waits for a person: `refit runs --verdict waiting`.'));
  const line = new LiveLine();
  const left = leaving(() => {
    line.clear();
    say(yellow(goOn(isTransient(desk))));
  });
  try {
    const runs = await followBackfill({
      ...{ client, slices, pipeline: request.pipeline, signal: left.signal, errorOf: asRefitError },
      onProgress: (now) => (quiet ? undefined : line.update(...progressText(now))),
    });
    line.clear();
    const complete = runs.every(({ status }) => status === 'completed');
    if (complete) await closeBackfill(client.schedule, request);
    return { backfill: id, ...range, complete, runs };
  } finally {
    left.dispose();
  }
}

/** Aborted by Ctrl-C or SIGTERM; by a second one, the process ends at once. */
function leaving(tell: () => void): { signal: AbortSignal; dispose(): void } {
  const left = new AbortController();
  const leave = () => {
    if (left.signal.aborted) process.exit(INTERRUPTED);
    tell();
    left.abort();
  };
  process.on('SIGINT', leave);
  process.on('SIGTERM', leave);
  const dispose = () => {
    process.removeListener('SIGINT', leave);
    process.removeListener('SIGTERM', leave);
  };
  return { signal: left.signal, dispose };
}

const goOn = (transient: boolean) =>
  transient
    ? 'Left. The server ends with this command; the runs go on when the next one starts it. The same command follows them again.'
    : 'Left. The runs go on without us; the same command follows them again, and with --stop it ends them.';

/** For a terminal, and in plain lines. */
function progressText(runs: BackfillRun[]): [live: string, plain: string] {
  const ended = runs.filter(({ status }) => status !== 'pending' && status !== 'running');
  const running = runs.filter(({ status }) => status === 'running').map(({ scheduledAt }) => scheduledAt);
  const text = `  ${ended.length} of ${runs.length} runs done${running.length > 0 ? `, under way: ${running.join(', ')}` : ''}`;
  return [text, text];
}

function reportText({ runs, complete }: BackfillReport): string {
  const colours = { promoted: green, unchanged: dim, rejected: yellow };
  const rows = runs.map(({ scheduledAt, asOf, status, verdict, version, auc, reason, error }) => [
    scheduledAt,
    asOf ?? '',
    verdict ? colours[verdict](verdict) : status === 'failed' ? red(status) : status,
    version === null ? '' : String(version),
    auc === null ? '' : auc.toFixed(4),
    error ? `${error.code}: ${error.message}` : (reason ?? ''),
  ]);
  const hint = complete ? [] : ['', dim('Not complete: the same command goes on, and runs again what failed.')];
  return [table(['scheduled for', 'asOf', 'verdict', 'version', 'auc', ''], rows, [3, 4]), ...hint].join('\n');
}
