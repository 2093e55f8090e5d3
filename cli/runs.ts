import { Command, Option } from 'commander';
import { RUN_STATUSES, type RunList, type RunSummary } from '../core/spec/cli.ts';
import { RefitError } from '../core/spec/errors.ts';
import { nearest } from '../core/spec/nearest.ts';
import { compareRuns } from './compare-runs.ts';
import { comparisonText } from './comparison-text.ts';
import { newestFirst, summaryJson } from './find-run.ts';
import { dim, green, red, say, table, yellow } from './terminal.ts';
import { print, withStack } from './with-stack.ts';

interface Options {
  pipeline?: string;
  verdict?: string;
  status?: string;
  limit: number;
  compare?: string;
  json?: boolean;
}

const VERDICTS = ['promoted', 'unchanged', 'rejected', 'failed', 'cancelled', 'waiting'];

export function runsCommand(exit: (status: number) => void): Command {
  return new Command('runs')
    .description('List the runs, newest first, or compare two of them.')
    .argument('[other]', 'with --compare: the second run')
    .option('--pipeline <name>', 'only runs of this pipeline')
    .addOption(new Option('--verdict <verdict>', 'only runs that came to this').choices(VERDICTS))
    .option('--status <status>', `only runs in this state: ${RUN_STATUSES.join(', ')}`)
    .option('--limit <n>', 'at most so many', positive, 20)
    .option('--compare <run>', 'hold this run against [other]: settings, spec, metrics, gates, stages')
    .option('--json', 'print the list (or the comparison) as JSON on standard output')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (other: string | undefined, options: Options) => exit(await runs(other, options)));
}

const EXAMPLES = `
Examples:
  refit runs                                                 the newest 20 runs of all pipelines
  refit runs --pipeline flight-delays --verdict promoted     those that moved the champion
  refit runs --status failed --json | jq -r '.runs[].workflowId'
  refit runs --compare train/flight-delays/2013-10-01 train/flight-delays/2013-12-01

A run is named by its workflow id, by <workflow id>@<run id>, by its run id, or by its pipeline (the newest run).`;

/** A server without workers can be looked at. */
const LOOK = { workers: false };

async function runs(other: string | undefined, { compare, json, ...filter }: Options): Promise<number> {
  if (compare !== undefined) {
    if (other === undefined) throw new RefitError('REFIT_USAGE', '--compare takes two runs: refit runs --compare A B.');
    const comparison = await withStack((desk) => compareRuns(desk, compare, other), LOOK);
    print(comparison, json, () => comparisonText(comparison));
    return 0;
  }
  if (other !== undefined) {
    throw new RefitError('REFIT_USAGE', `"${other}" is too much here; one run is shown by refit status ${other}.`);
  }
  const list = await withStack(async ({ client }): Promise<RunList> => {
    const { limit, pipeline, verdict } = filter;
    const found = [];
    for await (const run of client.list({ pipeline, verdict, status: statusOf(filter.status), limit })) found.push(run);
    return { runs: newestFirst(found).map(summaryJson) };
  }, LOOK);
  if (list.runs.length === 0) say(dim('No runs.'));
  if (json || list.runs.length > 0) print(list, json, () => runsTable(list.runs));
  return 0;
}

function statusOf(text: string | undefined): RunSummary['status'] | undefined {
  if (text === undefined) return undefined;
  const plain = (name: string) =>
    name
      .toLowerCase()
      .replaceAll(/[^a-z]/g, '')
      .replace('canceled', 'cancelled');
  const found = RUN_STATUSES.find((name) => plain(name) === plain(text));
  if (found) return found;
  throw new RefitError('REFIT_USAGE', `There is no status "${text}"${nearest(text, [...RUN_STATUSES])}.`);
}

/** @throws RefitError REFIT_USAGE */
export function positive(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new RefitError('REFIT_USAGE', `"${text}" is no positive whole number.`);
}

function runsTable(list: RunSummary[]): string {
  const rows = list.map(({ workflowId, startedAt, seconds, version, trigger, ...run }) => [
    workflowId,
    `${startedAt.slice(0, 19).replace('T', ' ')}`,
    duration(seconds),
    outcome(run),
    version === null ? '' : `v${version}`,
    trigger ?? '',
  ]);
  return table(['run', 'started (UTC)', 'took', 'outcome', 'version', 'trigger'], rows, [2]);
}

/** The verdict where there is one, the stage while it runs, else how it ended. */
export function outcome({ status, stage, verdict }: Pick<RunSummary, 'status' | 'stage' | 'verdict'>): string {
  if (status === 'running')
    return verdict === 'waiting' ? yellow('waiting for approval') : `running: ${stage ?? 'start'}`;
  if (status !== 'completed') return red(stage && stage !== 'done' ? `${status} in ${stage}` : status);
  if (verdict === 'promoted') return green(verdict);
  return verdict === 'rejected' ? yellow(verdict) : (verdict ?? status);
}

/** `41.2 s`, `3 min 05 s`, `2 h 10 min`. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${two((seconds % 3600) / 60)} min`;
}
