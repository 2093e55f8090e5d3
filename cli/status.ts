import { defaultFailureConverter, defaultPayloadConverter } from '@temporalio/common';
import { Command } from 'commander';
import { asRefitError, type Run } from '../client/index.ts';
import { summaryOf } from '../client/list.ts';
import type { RunStatus } from '../core/spec/cli.ts';
import type { Progress, RunResult } from '../core/spec/run.ts';
import { findRun, summaryJson } from './find-run.ts';
import { duration, outcome } from './runs.ts';
import { bold, count, dim, green, red, table, yellow } from './terminal.ts';
import { LINEAGE } from './watch-run.ts';
import { type Desk, print, withStack } from './with-stack.ts';

export function statusCommand(exit: (status: number) => void): Command {
  return new Command('status')
    .description('Show one run: its stages so far, what it waits for, why it failed, where to look.')
    .argument('<run>', "workflow id, run id, or a pipeline's name for its newest run")
    .option('--json', 'print the status as JSON on standard output')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (name: string, { json }: { json?: boolean }) => exit(await status(name, json)));
}

const EXAMPLES = `
Examples:
  refit status flight-delays                                  its newest run
  refit status train/flight-delays/2013-12-01
  refit status flight-delays --json | jq -r .failure.message

Exit status: 0 whatever became of the run, 2 when there is no such run.`;

const LOOK = { workers: false };

async function status(name: string, json: boolean | undefined): Promise<number> {
  const found = await withStack(async (desk) => statusOf(desk, await findRun(desk.client, name)), LOOK);
  print(found, json, () => statusText(found));
  return 0;
}

/** Everything the server and a worker tell of a run. */
export async function statusOf({ stack }: Desk, run: Run): Promise<RunStatus> {
  const { workflowId, runId, handle } = run;
  const described = await handle.describe();
  const summary = summaryJson(summaryOf(described));
  const ended = summary.endedAt !== null;
  const progress = await ask(run);
  const { result, failure } = ended ? await ending(run) : {};
  const page = `${encodeURIComponent(workflowId)}/${runId}`;
  return {
    ...summary,
    pipeline: summary.pipeline || progress?.pipeline || run.pipeline,
    asOf: result?.asOf ?? progress?.asOf ?? null,
    stages: result?.stages ?? progress?.stages ?? [],
    retrying: ended ? [] : retrying(described.raw.pendingActivities ?? []),
    ui: stack.ui ? `${stack.ui}/namespaces/${stack.client.options.namespace}/workflows/${page}` : null,
    report: result?.report ?? null,
    ...(progress && !ended ? { progress } : {}),
    ...(progress?.waiting && !ended ? { waiting: progress.waiting } : {}),
    ...(progress?.lineage ? { lineage: progress.lineage } : {}),
    ...(result ? { result } : {}),
    ...(failure ? { failure } : {}),
  };
}

/** Its own account; undefined where no worker answers in time, or the history is gone. */
async function ask({ handle }: Run): Promise<Progress | undefined> {
  const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 5_000).unref());
  return Promise.race([handle.query<Progress>('progress').catch(() => undefined), late]);
}

async function ending(run: Run): Promise<{ result?: RunResult; failure?: NonNullable<RunStatus['failure']> }> {
  try {
    return { result: await run.result() };
  } catch (error) {
    const { code, message, cure, details } = asRefitError(error);
    return { failure: { code, message, cure, details } };
  }
}

type Pending = NonNullable<Awaited<ReturnType<Run['handle']['describe']>>['raw']['pendingActivities']>;

/** Activities that failed at least once. */
function retrying(pending: Pending): RunStatus['retrying'] {
  return pending.flatMap(({ activityType, attempt, lastFailure }) => {
    if (!lastFailure) return [];
    const { message } = defaultFailureConverter.failureToError(lastFailure, defaultPayloadConverter);
    return [{ activity: activityType?.name ?? '', attempt: attempt ?? 1, message: message.split('\n')[0] ?? '' }];
  });
}

function statusText(run: RunStatus): string {
  const { waiting, failure, result, progress } = run;
  const lines = [
    `${bold(run.workflowId)}  ${outcome(run)}`,
    dim(`run ${run.runId}, started ${run.startedAt.slice(0, 19)}Z by ${run.trigger ?? 'operator'}`),
    `As of    ${run.asOf ?? 'not known yet'}`,
    `Took     ${duration(run.seconds)}${run.endedAt ? '' : ' so far'}`,
  ];
  if (progress?.follows) lines.push(`Follows  ${progress.follows}: the same run, under way under another id`);
  if (result) {
    const { test } = result.metrics;
    lines.push(
      `Model    ${result.model.name}@${result.model.version}, AUC ${figure(test.auc)}, log loss ${figure(test.logLoss)} (test)`,
    );
  }
  if (run.stages.length > 0) lines.push('', stageTable(run.stages));
  if (waiting) lines.push('', ...waitingText(run.pipeline, waiting));
  for (const { activity, attempt, message } of run.retrying) {
    lines.push('', yellow(`${activity} failed ${attempt - 1} times and is tried again: ${message}`));
  }
  if (run.lineage) lines.push('', yellow(LINEAGE[run.lineage]));
  if (failure) lines.push('', red(`${failure.code}: ${failure.message}`), `  ${failure.cure}`);
  const failed = result?.gates.filter(({ passed }) => !passed) ?? [];
  if (failed.length > 0) lines.push('', ...failed.map(({ name, reason }) => `${red('✗')} ${name}: ${reason}`));
  if (run.report || run.ui) lines.push('');
  if (run.report) lines.push(`Report   ${run.report}`);
  if (run.ui) lines.push(`Run      ${run.ui}`);
  return lines.join('\n');
}

const figure = (value: number | null) => (value === null ? 'n/a' : value.toFixed(4));

function waitingText(model: string, { version, since, until }: NonNullable<RunStatus['waiting']>): string[] {
  return [
    yellow(`Version ${version} waits for a person since ${since}, until ${until}:`),
    `  refit approve ${model}@${version} --by NAME --reason TEXT`,
    `  refit reject ${model}@${version} --by NAME --reason TEXT`,
  ];
}

function stageTable(stages: RunStatus['stages']): string {
  const rows = stages.map(({ name, cached, seconds, rows: counted }) => [
    name,
    cached ? dim('cached') : green('done'),
    count(counted),
    seconds.toFixed(1),
  ]);
  return table(['stage', '', 'rows', 'seconds'], rows, [2, 3]);
}
