import { existsSync } from 'node:fs';
import { cp, mkdir, realpath, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import { type Draft, draftPipeline } from '../core/pipeline/draft/draft-pipeline.ts';
import { renderPipeline } from '../core/pipeline/draft/render-pipeline.ts';
import { renderReadme } from '../core/pipeline/draft/render-readme.ts';
import { loadPipeline } from '../core/pipeline/load.ts';
import { RefitError } from '../core/spec/errors.ts';
import { asJson, asText } from './init/summary.ts';
import { withTemporaryFolder } from './temporary-folder.ts';
import { say } from './terminal.ts';

interface Options {
  from: string;
  label: string;
  time: string;
  key?: string;
  labelKnownAt?: string;
  zone: string;
  force?: boolean;
  json?: boolean;
}

export function initCommand(exit: (status: number) => void): Command {
  return new Command('init')
    .description(
      'Write a first pipeline for a table of your own: Parquet, CSV or JSON lines, with a column to predict and one that says when.',
    )
    .argument('<pipeline>', 'name of the new folder under pipelines/, e.g. churn')
    .requiredOption('--from <file>', 'the table: a Parquet, CSV or JSON lines file, or a quoted glob of several')
    .requiredOption(
      '--label <column>',
      'what to predict: a column with two values, or an SQL condition, e.g. "amount > 100"',
    )
    .requiredOption('--time <column>', 'when each row happened: a column, or an SQL expression that gives a time')
    .option('--key <column>', 'the column that names what is asked about (default: found)')
    .option(
      '--label-known-at <column>',
      'when the label became known: a column or an SQL expression (default: with the row)',
    )
    .option('--zone <zone>', 'time zone of times written without one, e.g. Europe/Berlin', 'UTC')
    .option('--force', 'replace a pipeline of that name')
    .option('--json', 'print what was found and written as JSON')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (pipeline: string, options: Options) => exit(await init(pipeline, options)));
}

const EXAMPLES = `
Examples:
  refit init churn --from customers.csv --label Churn --time signup_date
  refit init churn --from customers.csv --label "status = 'cancelled'" --time "try_strptime(day, '%d/%m/%Y')"
  refit init delays --from 'data/flights/*.parquet' --label "arr_delay > 15" --time sched_dep --label-known-at landed_at
  refit run churn                                   then: train, evaluate and promote it

Writes pipelines/<pipeline>/: pipeline.ts, the contract of the table and a README. The table stays where it is.`;

async function init(name: string, options: Options): Promise<number> {
  checkName(name);
  const root = ownProject();
  const folder = path.join(path.resolve(root, process.env.REFIT_PIPELINES ?? 'pipelines'), name);
  if (existsSync(folder) && !options.force) {
    throw new RefitError(
      'REFIT_USAGE',
      `${shown(root, folder)} is there already; use another name, or --force to replace it.`,
    );
  }
  return withTemporaryFolder('refit-init-', async (scratch) => {
    if (!options.json) say(`Looking at ${options.from} …`);
    const from = await sourcePath(root, options.from);
    await mkdir(path.join(scratch, 'table'));
    const { label, time, key, labelKnownAt, zone } = options;
    const draft = await draftPipeline(
      { name, root, path: from, label, time, key, labelKnownAt, zone },
      path.join(scratch, 'table'),
    );
    const files = await write(draft, path.join(scratch, 'pipelines'), commandLine(name, options));
    // Read as a run will read it, before anything of it is in the project.
    await loadPipeline(path.join(scratch, 'pipelines'), name);
    await mkdir(folder, { recursive: true });
    await cp(path.join(scratch, 'pipelines', name), folder, { recursive: true });
    await makeProject(root);
    const written = files.map((file) => shown(root, path.join(folder, file)));
    process.stdout.write(options.json ? `${JSON.stringify(asJson(draft, written))}\n` : asText(draft, written));
    return 0;
  });
}

function checkName(name: string): void {
  if (/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) return;
  const better = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 63);
  const hint = better === '' ? '' : `, e.g. ${better}`;
  throw new RefitError(
    'REFIT_USAGE',
    `"${name}" is no name of a pipeline: use small letters, digits and hyphens${hint}.`,
  );
}

/** The project around this folder; where there is none, this folder becomes one. */
function ownProject(): string {
  if (process.env.REFIT_ROOT) return path.resolve(process.env.REFIT_ROOT);
  const here = process.cwd();
  for (let folder = here; path.dirname(folder) !== folder; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'pipelines')) && existsSync(path.join(folder, 'package.json'))) return folder;
  }
  return here;
}

/** What makes a folder a project: package.json and pipelines/. An existing package.json is left alone. */
async function makeProject(root: string): Promise<void> {
  const name =
    path
      .basename(root)
      .toLowerCase()
      .replaceAll(/[^a-z0-9-]+/g, '-')
      .replaceAll(/^-+|-+$/g, '') || 'models';
  const text = `${JSON.stringify({ name, private: true, type: 'module' }, null, 2)}\n`;
  await writeFile(path.join(root, 'package.json'), text, { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}

/** A path as the pipeline will say it: relative to the project where the file is inside. @throws RefitError REFIT_USAGE */
async function sourcePath(root: string, from: string): Promise<string> {
  const absolute = path.resolve(from);
  const found = await stat(absolute).catch(() => undefined);
  if (found?.isDirectory()) {
    throw new RefitError(
      'REFIT_USAGE',
      `--from ${from} is a folder; name a file, or several as '${path.join(from, '*.parquet')}'.`,
    );
  }
  if (!found && !/[*?]/.test(from))
    throw new RefitError('REFIT_SOURCE_MISSING', `There is no file ${from}.`, { file: absolute });
  if (found && /[*?]/.test(absolute)) {
    throw new RefitError(
      'REFIT_USAGE',
      `--from ${from} has * or ? in its name, which stand for other files; rename it.`,
    );
  }
  const inside = path.relative(await realFolder(root), await realFolder(path.dirname(absolute)));
  if (inside.startsWith('..') || path.isAbsolute(inside)) return absolute;
  return path.posix.join(...inside.split(path.sep), path.basename(absolute));
}

/** Without links, where it is there: a temporary folder may have two names. */
async function realFolder(folder: string): Promise<string> {
  return realpath(folder).catch(() => path.resolve(folder));
}

/** @returns names of the files */
async function write(draft: Draft, pipelines: string, command: string): Promise<string[]> {
  const folder = path.join(pipelines, draft.request.name);
  await mkdir(folder, { recursive: true });
  const files = {
    'pipeline.ts': renderPipeline(draft, command),
    [`${draft.source}.schema.json`]: `${JSON.stringify(draft.contract, null, 2)}\n`,
    'README.md': renderReadme(draft),
  };
  for (const [name, content] of Object.entries(files)) await writeFile(path.join(folder, name), content);
  return Object.keys(files);
}

function commandLine(name: string, { from, label, time, key, labelKnownAt, zone }: Options): string {
  const options = { from, label, time, key, 'label-known-at': labelKnownAt, zone: zone === 'UTC' ? undefined : zone };
  const words = Object.entries(options).flatMap(([option, value]) =>
    value === undefined ? [] : [`--${option} ${shellWord(value)}`],
  );
  return ['refit init', name, ...words].join(' ');
}

function shellWord(word: string): string {
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function shown(root: string, file: string): string {
  const relative = path.relative(root, file);
  return relative.startsWith('..') ? file : relative;
}
