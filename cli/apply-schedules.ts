import type { Command } from 'commander';
import type { Places } from '../core/compose/refit.ts';
import { listPipelines, loadPipeline } from '../core/pipeline/load.ts';
import { RefitError } from '../core/spec/errors.ts';
import type { ScheduleApply, ScheduleChange } from '../core/spec/schedules.ts';
import { planSchedules } from '../schedules/apply.ts';
import { type Declared, scheduleNameOf } from '../schedules/declared.ts';
import { atDesk, command } from './schedules-desk.ts';
import { bold, dim, green, red, say, yellow } from './terminal.ts';

interface ApplyOptions {
  prune?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

export function applyCommand(exit: (status: number) => void): Command {
  return command(
    'apply',
    'Show how the schedules on the server differ from what pipelines declare, then make them equal.',
  )
    .argument('[pipeline...]', 'only these pipelines (default: all)')
    .option('--prune', 'remove schedules of ours that no pipeline declares any more')
    .option('--dry-run', 'show the differences and change nothing')
    .addHelpText(
      'after',
      '\nA paused schedule stays paused. Exit status: 0 done, 2 a declaration is wrong (others are applied).',
    )
    .action(async (names: string[], options: ApplyOptions) => exit(await apply(names, options)));
}

async function apply(names: string[], { prune = false, dryRun = false, json }: ApplyOptions): Promise<number> {
  return atDesk(async ({ places, stack }) => {
    const { declared, failed } = await readDeclarations(places, names, prune);
    const client = stack.client.schedule;
    const unreadable = failed.map(({ pipeline }) => pipeline);
    const only = names.length === 0 ? {} : { only: names };
    const plan = await planSchedules(client, declared, { prune, unreadable, ...only });
    const found = [...declared.map(({ name }) => name), ...plan.changes.map(({ pipeline }) => pipeline)];
    // Neither a pipeline nor a schedule of one that is gone: a slip of the pen, and told as one.
    for (const name of names) if (!found.includes(name)) await loadPipeline(places.pipelines, name);
    if (!json) process.stdout.write(`${changesText(plan.changes)}\n`);
    for (const { pipeline, error } of failed) say(red(`${pipeline} is left alone. ${error.code}: ${error.message}`));
    if (!dryRun) await plan.apply();
    const result: ScheduleApply = { dryRun, changes: plan.changes, failed };
    if (json) process.stdout.write(`${JSON.stringify(result)}\n`);
    else say(dim(closing(result)));
    return failed.length > 0 ? 2 : 0;
  });
}

type Failure = ScheduleApply['failed'][number];

/** What the pipelines declare. A pipeline that is named and cannot be read ends the command; among all of them it is told. */
async function readDeclarations(
  { pipelines: folder }: Places,
  names: string[],
  prune: boolean,
): Promise<{ declared: Declared[]; failed: Failure[] }> {
  const known = await listPipelines(folder);
  const declared: Declared[] = [];
  const failed: Failure[] = [];
  for (const pipeline of names.length > 0 ? names : known) {
    // Its folder may be gone: that is what --prune is for.
    if (prune && !known.includes(pipeline)) continue;
    try {
      declared.push(await loadPipeline(folder, pipeline));
    } catch (error) {
      if (names.length > 0 || !(error instanceof RefitError)) throw error;
      const { code, message, cure, details } = error;
      failed.push({ pipeline, error: { code, message, cure, details } });
    }
  }
  return { declared, failed };
}

function changesText(changes: ScheduleChange[]): string {
  if (changes.length === 0) return 'No pipeline declares a schedule, and the server has none of ours.';
  const signs = {
    create: green('+'),
    update: yellow('~'),
    unchanged: dim('='),
    remove: red('-'),
    undeclared: yellow('?'),
  };
  return changes
    .map(({ schedule, change, fields, paused }) => {
      const head = `${signs[change]} ${bold(scheduleNameOf(schedule))} ${change}${paused ? yellow(' (paused)') : ''}`;
      const hint = change === 'undeclared' ? [dim('    no pipeline declares it any more; --prune removes it')] : [];
      const lines = fields.map(({ field, from, to }) =>
        change === 'create' ? `    ${field}: ${to}` : `    ${field}: ${from ?? 'none'} → ${to ?? 'none'}`,
      );
      return [head, ...hint, ...lines].join('\n');
    })
    .join('\n');
}

function closing({ dryRun, changes }: ScheduleApply): string {
  const count = (kind: ScheduleChange['change']) => changes.filter(({ change }) => change === kind).length;
  const done = `${count('create')} created, ${count('update')} updated, ${count('remove')} removed, ${count('unchanged')} unchanged`;
  return dryRun ? `Nothing was changed. Without --dry-run: ${done}.` : `${done}.`;
}
