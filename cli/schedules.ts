import { Command } from 'commander';
import { listPipelines, loadPipeline } from '../core/pipeline/load.ts';
import type { ScheduleList, ScheduleStatus, ScheduleTrigger } from '../core/spec/schedules.ts';
import { declaredSchedules, scheduleNameOf } from '../schedules/declared.ts';
import { describeSchedule, listSchedules, triggerSchedule } from '../schedules/look.ts';
import { applyCommand } from './apply-schedules.ts';
import { atDesk, command } from './schedules-desk.ts';
import { bold, green, table, yellow } from './terminal.ts';
import { type Desk, print } from './with-stack.ts';

type Exit = (status: number) => void;

interface Options {
  json?: boolean;
}

export function schedulesCommand(exit: Exit): Command {
  return new Command('schedules')
    .description('Schedules: apply what the pipelines declare, look at them, pause and start them.')
    .addCommand(applyCommand(exit))
    .addCommand(listCommand(exit))
    .addCommand(pauseCommand(exit))
    .addCommand(resumeCommand(exit))
    .addCommand(triggerCommand(exit))
    .addHelpText('after', EXAMPLES);
}

const EXAMPLES = `
Examples:
  refit schedules apply --dry-run                       what would change on the server
  refit schedules apply                                 make it so; whoever applies twice changes nothing
  refit schedules apply --prune                         and remove schedules that no pipeline declares any more
  refit schedules list                                  next times, last runs, who is paused and why
  refit schedules pause flight-delays --note "new source until Monday"
  refit schedules resume flight-delays
  refit schedules trigger flight-delays                 a run now; its asOf is now

A pipeline declares its schedule in pipeline.ts:
  schedule: { cron: '0 5 * * 1', zone: 'Europe/Berlin', overlap: 'buffer-all', catchup: '7d' }
and when its online features are brought up to date between runs (here it is named flight-delays/materialize):
  materialize: { every: '15m' }

A scheduled run takes its asOf from the time it was scheduled for. Schedules need a server that stays: \`refit dev\`, or the one
that TEMPORAL_ADDRESS names.`;

const NAMED = 'a pipeline, for its runs; <pipeline>/materialize for its online features';

function listCommand(exit: Exit): Command {
  return command('list', 'Schedules on the server: next times, last runs, paused or not.').action(
    async ({ json }: Options) => {
      const schedules = await atDesk(async ({ places, stack }) =>
        listSchedules(stack.client.schedule, await listPipelines(places.pipelines)),
      );
      const list: ScheduleList = { schedules };
      print(list, json, () => listText(schedules));
      exit(0);
    },
  );
}

function listText(schedules: ScheduleStatus[]): string {
  if (schedules.length === 0)
    return 'There is no schedule yet: `refit schedules apply` creates what pipelines declare.';
  const rows = schedules.map(({ schedule, when, zone, overlap, paused, note, next, last, running }) => [
    bold(scheduleNameOf(schedule)),
    zone === 'UTC' || when.startsWith('every') ? when : `${when} ${zone}`,
    overlap,
    paused ? yellow('paused') : (next[0] ?? 'never'),
    running.length > 0 ? green('running') : (last[0]?.scheduledAt ?? 'none'),
    note ?? '',
  ]);
  return table(['schedule', 'when', 'overlap', 'next (UTC)', 'last (UTC)', 'note'], rows);
}

function pauseCommand(exit: Exit): Command {
  return command('pause', 'Stop a schedule until it is resumed; a run under way goes on, `apply` leaves it paused.')
    .argument('<name>', NAMED)
    .option('--note <text>', 'why; shown in the list and in the Temporal UI', 'paused by refit schedules pause')
    .action(async (name: string, { note, json }: Options & { note: string }) => {
      const status = await steer(name, async ({ stack }, { schedule }) => {
        await stack.client.schedule.getHandle(schedule).pause(note.trim() || 'paused');
      });
      print(status, json, () => `${bold(name)} is paused: ${status.note}`);
      exit(0);
    });
}

function resumeCommand(exit: Exit): Command {
  return command(
    'resume',
    'Let a paused schedule go on. Times that passed meanwhile are not caught up; see `refit backfill`.',
  )
    .argument('<name>', NAMED)
    .action(async (name: string, { json }: Options) => {
      const status = await steer(name, async ({ places, stack }, { schedule, pipeline }) => {
        // The note is the declared one again; a pipeline that is broken by now can be resumed all the same.
        const declared = await loadPipeline(places.pipelines, pipeline)
          .then(declaredSchedules)
          .catch(() => []);
        const note = declared.find(({ scheduleId }) => scheduleId === schedule)?.state?.note;
        await stack.client.schedule.getHandle(schedule).unpause(note ?? 'resumed');
      });
      print(status, json, () => `${bold(name)} goes on, next at ${status.next[0] ?? 'no time'} (UTC)`);
      exit(0);
    });
}

/** Changes the state of a schedule and tells what it is then. @throws RefitError REFIT_SCHEDULE_UNKNOWN */
function steer(name: string, work: (desk: Desk, status: ScheduleStatus) => Promise<void>): Promise<ScheduleStatus> {
  return atDesk(async (desk) => {
    const client = desk.stack.client.schedule;
    await work(desk, await describeSchedule(client, name));
    return describeSchedule(client, name);
  });
}

function triggerCommand(exit: Exit): Command {
  return command('trigger', 'Start what a schedule starts now, paused or not; its asOf is now.')
    .argument('<name>', NAMED)
    .action(async (name: string, { json }: Options) => {
      const triggered: ScheduleTrigger = await atDesk(
        ({ stack }) => triggerSchedule(stack.client.schedule, name),
        // A run that nobody would work on is told now.
        { workers: true },
      );
      const { run } = triggered;
      print(triggered, json, () =>
        run
          ? `${bold(run.workflowId)} started: refit status ${run.workflowId}`
          : 'Asked for; the server has not started it yet.',
      );
      exit(0);
    });
}
