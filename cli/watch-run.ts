import type { WorkflowHandle } from '@temporalio/client';
import { asRefitError } from '../client/index.ts';
import type { Progress, RunResult } from '../core/spec/run.ts';
import type { StageResult } from '../core/spec/stages.ts';
import { bold, count, dim, green, LiveLine, red, say, table, yellow } from './terminal.ts';

const POLL_MS = 300;

/** Follows a run on the terminal until it ends. Ctrl-C cancels it and waits until it has ended cleanly. */
export async function watchRun(handle: WorkflowHandle, options: { quiet: boolean }): Promise<RunResult> {
  const line = new LiveLine();
  let over = false;
  const cancel = () => {
    line.clear();
    say(yellow('Cancelling: finished steps are kept. Once more to leave at once.'));
    process.once('SIGINT', () => process.exit(130));
    void handle.cancel().catch(() => undefined);
  };
  process.once('SIGINT', cancel);
  process.once('SIGTERM', cancel);
  const result = (handle.result() as Promise<RunResult>).finally(() => {
    over = true;
  });
  result.catch(() => undefined);
  let told = 0;
  const said = new Set<string>();
  const tell = (progress: Progress) => {
    for (const stage of progress.stages.slice(told)) {
      line.clear();
      say(stageLine(stage));
    }
    told = progress.stages.length;
    for (const [event, text] of Object.entries(announcements(progress))) {
      if (said.has(event)) continue;
      said.add(event);
      line.clear();
      say(text);
    }
    if (progress.stage && progress.stages.length < 6)
      line.update(`  ${bold(progress.stage)} ${dim(livePart(progress))}`, `  ${progress.stage} …`);
  };
  const started = Date.now();
  while (!over) {
    await Promise.race([result.catch(() => undefined), new Promise((resolve) => setTimeout(resolve, POLL_MS))]);
    if (options.quiet || over) continue;
    // A worker that is being replaced does not answer; the next poll will.
    const progress = await queryProgress(handle);
    if (progress) tell(progress);
    else if (Date.now() - started > 10_000) line.update(dim('  waiting for a worker'));
  }
  line.clear();
  process.removeListener('SIGINT', cancel);
  process.removeListener('SIGTERM', cancel);
  const outcome = await result.catch((error: unknown) => {
    throw asRefitError(error);
  });
  if (!options.quiet) for (const stage of outcome.stages.slice(told)) say(stageLine(stage));
  return outcome;
}

/** What became of the events of a run whose receiver did not take them all. */
export const LINEAGE = {
  waiting: 'The receiver of OpenLineage events does not answer; they are sent again for a day.',
  refused:
    'The receiver of OpenLineage events refused some of them: they are given up. The log of the worker says why.',
};

/** What a watcher is told once: whom the run waits for. */
function announcements({ pipeline, waiting, follows, lineage }: Progress): Record<string, string> {
  const told: Record<string, string> = {};
  if (follows) told[follows] = dim(`  The same run is under way as ${follows}: waiting for its result.`);
  if (lineage) told.lineage = yellow(`  ${LINEAGE[lineage]}`);
  if (waiting) {
    const { version, until } = waiting;
    const command = `npx --no refit approve ${pipeline}@${version} --by NAME --reason TEXT`;
    told[until] = `  ${yellow(`Version ${version} waits for a person`)} until ${until}: ${command} (or reject)`;
  }
  return told;
}

async function queryProgress(handle: WorkflowHandle): Promise<Progress | undefined> {
  const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 3_000).unref());
  return Promise.race([handle.query<Progress>('progress').catch(() => undefined), late]);
}

function livePart({ stage, training, trials, partitions }: Progress): string {
  if (stage === 'extract' && partitions) return `${partitions.done} of ${partitions.total} partitions`;
  if (stage !== 'train') return '';
  const search = trials && trials.done < trials.total ? `trial ${trials.done + 1} of ${trials.total}` : '';
  return training ? `round ${training.round} of ${training.rounds}` : search;
}

function stageLine({ name, cached, seconds, rows }: StageResult): string {
  const mark = cached ? dim('↺ cached') : green('✓ done  ');
  return `  ${mark} ${name.padEnd(12)} ${`${seconds.toFixed(1)} s`.padStart(7)}  ${rows === undefined ? '' : `${count(rows)} rows`}`;
}

/** The closing page of a run: stages, metrics against the baseline, gates, and where to look further. */
export function summary(result: RunResult, ui: string | undefined): string {
  const stages = result.stages.map(({ name, cached, rows, seconds, details }) => [
    name,
    cached ? 'cached' : 'computed',
    count(rows),
    seconds.toFixed(1),
    detailText(details),
  ]);
  const { test, validate, baseline } = result.metrics;
  const figure = (value: number | null) => (value === null ? 'n/a' : value.toFixed(4));
  const metrics = (['auc', 'logLoss', 'brier'] as const).map((metric) => [
    metric,
    figure(validate[metric]),
    bold(figure(test[metric])),
    figure(baseline[metric]),
  ]);
  const gates = result.gates.map(({ name, passed, reason }) => [passed ? green('✓') : red('✗'), name, reason]);
  const colour = { promoted: green, unchanged: dim, rejected: red }[result.verdict];
  const link = ui
    ? `${ui}/namespaces/default/workflows/${encodeURIComponent(result.workflowId)}/${result.runId}`
    : undefined;
  return [
    '',
    table(['stage', '', 'rows', 'seconds', ''], stages, [2, 3]),
    '',
    table(['metric', 'validate', 'test', 'baseline (test)'], metrics, [1, 2, 3]),
    '',
    table(['', 'gate', ''], gates),
    '',
    `${bold(colour(result.verdict))}: ${result.model.name} version ${result.model.version}, as of ${result.asOf}, in ${result.seconds.toFixed(1)} s`,
    `Drift of the newest window: ${result.drift.drifted.length > 0 ? result.drift.drifted.join(', ') : 'none'} (${(result.drift.share * 100).toFixed(0)} % of the features)`,
    `Report  ${result.report}`,
    ...(link ? [`Run     ${link}`] : []),
    '',
  ].join('\n');
}

function detailText(details: Record<string, unknown> | undefined): string {
  const { partitions, quarantined, features, columns, rounds, trials, unlabelled } = (details ?? {}) as {
    partitions?: { total: number; extracted: number };
    [name: string]: unknown;
  };
  const parts: string[] = [];
  if (partitions) parts.push(`${partitions.extracted} of ${partitions.total} partitions new`);
  if (typeof quarantined === 'number' && quarantined > 0) parts.push(`${quarantined} quarantined`);
  const made = columns === undefined ? '' : ` made into ${String(columns)} columns`;
  if (features) parts.push(`${String(features)} features${made}, ${count(Number(unlabelled))} without a label`);
  if (rounds) parts.push(`${String(rounds)} rounds, ${String(trials)} trials`);
  return dim(parts.join(', '));
}
