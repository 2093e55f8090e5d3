import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { Command, InvalidArgumentError } from 'commander';
import { asRefitError } from '../client/index.ts';
import { placesOf } from '../core/compose/refit.ts';
import { loadPipeline } from '../core/pipeline/load.ts';
import type { Explored, ExploreInput } from '../core/spec/exploration.ts';
import { TaskQueue } from '../core/spec/queues.ts';
import { canonicalAsOf } from '../core/spec/time.ts';
import { projectRoot } from './project.ts';
import { collectSet } from './set-option.ts';
import { bold, count, dim, green, say, table, yellow } from './terminal.ts';
import { print, withStack } from './with-stack.ts';

interface Options {
  asOf?: string;
  set: Record<string, unknown>;
  limit?: number;
  open?: boolean;
  json?: boolean;
}

export function exploreCommand(exit: (status: number) => void): Command {
  return new Command('explore')
    .description("Write a page about a pipeline's data: distributions, missing values, correlations, leakage suspects.")
    .argument('<pipeline>', 'name of a folder under pipelines/')
    .option('--as-of <time>', 'look at what was known then, UTC (default: the pipeline decides)')
    .option('--set <path=value>', 'override a setting of the pipeline; may be repeated', collectSet, {})
    .option('--limit <auc>', 'a feature that alone reaches this AUC is suspected (default: 0.9)', auc)
    .option('--open', 'open the page in the browser')
    .option('--json', 'print where the page is, and what was found, as JSON on standard output')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (pipeline: string, options: Options) => exit(await explore(pipeline, options)));
}

const EXAMPLES = `
Examples:
  refit explore flight-delays
  refit explore flight-delays --as-of 2013-06-01 --open
  refit explore flight-delays --json | jq -r '.suspects[].reason'

The page is one HTML file in the store (reports/<pipeline>/…/exploration.html) that needs nothing else. Files are extracted as
in a run, and what a run has extracted is not extracted again. Nothing is trained; labels may be missing or all alike.`;

function auc(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0.5 && value <= 1))
    throw new InvalidArgumentError('It is a number from 0.5 to 1.');
  return value;
}

async function explore(pipeline: string, { asOf, set, limit, open, json }: Options): Promise<number> {
  const input: ExploreInput = {
    pipeline,
    ...(asOf === undefined ? {} : { asOf: canonicalAsOf(asOf) }),
    ...(Object.keys(set).length === 0 ? {} : { set }),
    ...(limit === undefined ? {} : { limit }),
  };
  // Wrong names and broken declarations are told before anything starts.
  await loadPipeline(placesOf(projectRoot()).pipelines, pipeline, set);
  const explored = await withStack(async ({ stack }) => {
    const handle = await stack.client.workflow.start('explorePipeline', {
      taskQueue: TaskQueue.control,
      workflowId: `explore/${pipeline}/${randomUUID()}`,
      args: [input],
      staticSummary: `Look at the data of ${pipeline}`,
    });
    if (!json) say(dim(`Looking at the data of ${pipeline} …`));
    const cancel = () => void handle.cancel().catch(() => undefined);
    process.once('SIGINT', cancel);
    try {
      return (await handle.result()) as Explored;
    } catch (error) {
      throw asRefitError(error);
    } finally {
      process.removeListener('SIGINT', cancel);
    }
  });
  print(explored, json, () => text(explored));
  if (open) await openPage(explored.page);
  return 0;
}

const BEST = 8;

function text({ pipeline, asOf, page, rows, labelled, positives, features, suspects, sources }: Explored): string {
  const share = labelled === 0 ? 'no label is known' : `${((100 * positives) / labelled).toFixed(1)} % true`;
  const best = features
    .filter(({ auc: value }) => value !== null)
    .sort((a, b) => (b.auc ?? 0) - (a.auc ?? 0))
    .slice(0, BEST)
    .map((one) => [
      one.name,
      one.view,
      rows === 0 ? '' : `${((100 * one.missing) / rows).toFixed(1)} %`,
      (one.auc ?? 0).toFixed(3),
    ]);
  const odd = features
    .filter(({ notes }) => notes.length > 0)
    .map(({ name, notes }) => `  ${name}: ${notes.join(', ')}`);
  const named = sources.map(
    ({ name, rows: known, rejected }) =>
      `${name} ${count(known)}${rejected > 0 ? ` (${count(rejected)} rejected)` : ''}`,
  );
  return [
    `${bold(pipeline)} as of ${asOf}: ${count(rows)} rows, ${share}, ${features.length} features`,
    `Sources: ${named.join(', ')}`,
    ...(best.length > 0 ? ['', table(['best features alone', 'view', 'missing', 'AUC'], best, [2, 3])] : []),
    ...(odd.length > 0 ? ['', 'To look at:', ...odd.slice(0, 20)] : []),
    '',
    ...(suspects.length === 0
      ? [green('No leakage suspect.')]
      : [yellow('Leakage suspects:'), ...suspects.map(({ reason }) => `  ${reason}`)]),
    '',
    `Page  ${page}`,
  ].join('\n');
}

/** Hands the page to whatever opens pages here; says so where nothing does. */
async function openPage(page: string): Promise<void> {
  const [program, ...args] = { darwin: ['open'], win32: ['cmd', '/c', 'start', ''] }[process.platform as string] ?? [
    'xdg-open',
  ];
  const opened = await new Promise<boolean>((resolve) => {
    const child = spawn(program ?? 'xdg-open', [...args, page], { stdio: 'ignore', detached: true });
    child.once('error', () => resolve(false));
    child.once('spawn', () => {
      child.unref();
      resolve(true);
    });
  });
  if (!opened) say(yellow(`There is nothing here to open a page with (${program}): open it yourself.`));
}
