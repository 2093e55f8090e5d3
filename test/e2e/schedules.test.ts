import { writeFile } from 'node:fs/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { TSchema } from 'typebox';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { probe, startEmbeddedServer } from '../../cli/embedded-server.ts';
import type { Materialization } from '../../core/spec/materialization.ts';
import type { RunResult } from '../../core/spec/run.ts';
import { ScheduleApply, ScheduleList, ScheduleStatus, ScheduleTrigger } from '../../core/spec/schedules.ts';
import { listSchedules } from '../../schedules/look.ts';
import { type Services, startServices, until } from '../support/own-server.ts';
import { createProject, errorOf, type Project, refit } from '../support/project.ts';
import { addTinyPipeline } from '../support/tiny-pipeline.ts';

let project: Project;
let services: Services;
beforeAll(async () => {
  project = await createProject({ months: 0 });
  services = await startServices(project);
});
afterAll(async () => {
  await services?.stop();
  await project?.remove();
});

/** What a command prints with `--json`, held to its schema. */
async function json<T>(schema: TSchema, args: string[], status = 0): Promise<T> {
  const { code, stdout, stderr } = await refit(project, [...args, '--json'], services.env);
  expect(code, `${stdout}\n${stderr}`).toBe(status);
  const value = JSON.parse(stdout) as T;
  const check = new Ajv2020({ strict: false }).compile(schema);
  expect(check(value), JSON.stringify(check.errors)).toBe(true);
  return value;
}

const apply = async (args: string[] = [], status = 0): Promise<ScheduleApply> =>
  json(ScheduleApply, ['schedules', 'apply', ...args], status);
const statusOf = async (pipeline: string) =>
  (await listSchedules(services.client.schedule, [])).find((one) => one.pipeline === pipeline);

describe('what pipelines declare becomes what the server has', () => {
  const weekly = { cron: '0 5 * * 1', zone: 'Europe/Berlin', overlap: 'buffer-all', jitter: '5m', note: 'each Monday' };
  const declare = (name: string, schedule?: object) =>
    addTinyPipeline(project, name, { rows: 10, ...(schedule ? { extra: { schedule } } : {}) });

  test('--dry-run tells and changes nothing; apply makes it so; a second one finds nothing to do', async () => {
    await declare('weekly', weekly);
    const dry = await apply(['--dry-run']);
    expect(dry.changes).toMatchObject([{ pipeline: 'weekly', change: 'create', schedule: 'schedule/weekly' }]);
    expect(dry.changes[0]?.fields).toContainEqual({ field: 'cron', from: null, to: '0 5 * * 1' });
    expect(await statusOf('weekly')).toBeUndefined();

    expect((await apply()).changes).toMatchObject([{ pipeline: 'weekly', change: 'create' }]);
    expect((await apply()).changes).toMatchObject([{ pipeline: 'weekly', change: 'unchanged', fields: [] }]);
    const { schedules } = await json<ScheduleList>(ScheduleList, ['schedules', 'list']);
    expect(schedules[0]).toMatchObject({
      ...{ when: '0 5 * * 1', zone: 'Europe/Berlin', overlap: 'buffer-all', catchup: '7d', note: 'each Monday' },
      ...{ paused: false, last: [], missed: 0 },
    });
    // Mondays at 05:00 in Berlin, put off by up to five minutes.
    expect(schedules[0]?.next[0]).toMatch(/T0[34]:0[0-5]:/);
  });

  test('an update names the fields; what an operator paused stays paused, with the reason', async () => {
    await json(ScheduleStatus, ['schedules', 'pause', 'weekly', '--note', 'source is being moved']);
    await declare('weekly', { ...weekly, cron: '30 6 * * 1-5', overlap: 'skip' });
    expect((await apply()).changes).toEqual([
      {
        ...{ pipeline: 'weekly', schedule: 'schedule/weekly', change: 'update', paused: true },
        fields: [
          { field: 'cron', from: '0 5 * * 1', to: '30 6 * * 1-5' },
          { field: 'overlap', from: 'buffer-all', to: 'skip' },
        ],
      },
    ]);
    expect(await statusOf('weekly')).toMatchObject({
      paused: true,
      note: 'source is being moved',
      when: '30 6 * * 1-5',
    });
    const resumed = await json(ScheduleStatus, ['schedules', 'resume', 'weekly']);
    expect(resumed).toMatchObject({ paused: false, note: 'each Monday' });
    expect((await apply()).changes).toMatchObject([{ change: 'unchanged' }]);
  });

  test('what somebody changed by hand is seen and set right', async () => {
    await services.client.schedule.getHandle('schedule/weekly').update((now) => ({
      ...now,
      action: { ...now.action, args: [{ pipeline: 'other' }] } as never,
      spec: { ...now.spec, calendars: [{ hour: 7, comment: '30 6 * * 1-5' }] },
    }));
    const { changes } = await apply();
    expect(changes[0]?.fields.map(({ field }) => field)).toEqual(['cron', 'starts']);
    expect(changes[0]?.fields[0]).toMatchObject({ from: '0 7 * * *', to: '30 6 * * 1-5' });
    expect((await apply()).changes).toMatchObject([{ change: 'unchanged' }]);
  });

  test('only --prune removes, and never for a pipeline that cannot be read', async () => {
    await declare('daily', { every: '1d' });
    await apply(['daily']);
    await declare('daily');
    expect((await apply()).changes).toMatchObject([
      { pipeline: 'daily', change: 'undeclared' },
      { pipeline: 'weekly' },
    ]);
    await writeFile(project.path('pipelines/weekly/pipeline.ts'), 'export default oops;');
    const pruned = await apply(['--prune'], 2);
    expect(pruned.changes).toMatchObject([{ pipeline: 'daily', change: 'remove' }]);
    expect(pruned.failed).toMatchObject([{ pipeline: 'weekly', error: { code: 'REFIT_PIPELINE_INVALID' } }]);
    expect(await statusOf('daily')).toBeUndefined();
    expect(await statusOf('weekly')).toBeDefined();
  });

  test('a wrong declaration is refused before anything is changed', async () => {
    await declare('weekly', { ...weekly, cron: '0 9 * * 1' });
    await declare('wrong', { cron: '0 25 * * *' });
    const refused = await refit(project, ['schedules', 'apply', '--json'], services.env);
    expect(refused.code).toBe(2);
    expect(errorOf(refused)).toMatchObject({ code: 'REFIT_SCHEDULE_INVALID' });
    expect(errorOf(refused).message).toContain('hour "25" is not within 0 to 23');
    expect((await statusOf('weekly'))?.when).toBe('30 6 * * 1-5');
    // What is on the server can be steered all the same.
    await declare('weekly', { every: '1mo' });
    await json(ScheduleStatus, ['schedules', 'pause', 'weekly']);
    expect(await json(ScheduleStatus, ['schedules', 'resume', 'weekly'])).toMatchObject({ paused: false });
    const unknown = await refit(project, ['schedules', 'pause', 'nobody', '--json'], services.env);
    expect(errorOf(unknown)).toMatchObject({ code: 'REFIT_SCHEDULE_UNKNOWN' });
    const misspelt = await refit(project, ['schedules', 'apply', 'weakly', '--prune', '--json'], services.env);
    expect(misspelt.code).toBe(2);
    expect(errorOf(misspelt)).toMatchObject({ code: 'REFIT_PIPELINE_UNKNOWN' });
  });

  test('a server that has no worker yet takes schedules, but no run', async () => {
    const options = { port: (await probe(0)) ?? 0, database: 'no-worker' };
    const server = await startEmbeddedServer(project.path('.refit'), options);
    const env = { TEMPORAL_ADDRESS: server.address };
    try {
      await declare('lone', { every: '1d' });
      const applied = await refit(project, ['schedules', 'apply', 'lone', '--json'], env);
      expect(applied.code, applied.stdout).toBe(0);
      const triggered = await refit(project, ['schedules', 'trigger', 'lone', '--json'], env);
      expect(errorOf(triggered)).toMatchObject({ code: 'REFIT_WORKER_MISSING' });
    } finally {
      await server.stop();
    }
  });
});

describe('a schedule that is triggered', () => {
  const schedule = { cron: '0 5 1 1 *', pauseOnFailure: true };
  const trigger = (pipeline: string) => json<ScheduleTrigger>(ScheduleTrigger, ['schedules', 'trigger', pipeline]);

  test('runs now, as of now, and belongs to the schedule; paused or not', async () => {
    await addTinyPipeline(project, 'willing', { dataUntil: new Date(), extra: { schedule } });
    await apply(['willing']);
    await json(ScheduleStatus, ['schedules', 'pause', 'willing', '--note', 'by hand only']);
    const before = Date.now();
    const { run } = await trigger('willing');
    expect(run?.workflowId).toMatch(/^train\/willing-/);
    const handle = services.client.workflow.getHandle(run?.workflowId ?? '');
    const { asOf, verdict } = (await handle.result()) as RunResult;
    expect(verdict).toBe('promoted');
    expect(Math.abs(Date.parse(asOf) - before)).toBeLessThan(120_000);
    expect(await statusOf('willing')).toMatchObject({ paused: true, note: 'by hand only' });
    const listed = await refit(project, ['runs', '--json'], services.env);
    const { runs } = JSON.parse(listed.stdout) as { runs: { pipeline: string; trigger: string }[] };
    expect(runs.find(({ pipeline }) => pipeline === 'willing')?.trigger).toBe('schedule');
  });

  test('of online features brings them to the time it was scheduled for, and is steered by its own name', async () => {
    const dataUntil = new Date(Date.now() + 4 * 3_600_000 - 600_000);
    const materialize = { ...schedule, note: 'fresh values' };
    await addTinyPipeline(project, 'fresh', { dataUntil, extra: { schedule, materialize } });
    const [id, name] = ['schedule/fresh/materialize', 'fresh/materialize'];
    expect((await apply(['fresh'])).changes).toMatchObject([{ schedule: 'schedule/fresh' }, { schedule: id }]);
    expect((await apply(['fresh'])).changes).toMatchObject([{ change: 'unchanged' }, { change: 'unchanged' }]);
    const before = Date.now();
    const { run } = await trigger(name);
    expect(run?.workflowId).toMatch(/^materialize\/fresh-/);
    const done = (await services.client.workflow.getHandle(run?.workflowId ?? '').result()) as Materialization;
    expect(done).toMatchObject({ pipeline: 'fresh', entities: 1 });
    expect(Math.abs(Date.parse(done.asOf) - before)).toBeLessThan(120_000);
    const told = await refit(project, ['status', run?.workflowId ?? '', '--json'], services.env);
    expect(JSON.parse(told.stdout)).toMatchObject({ pipeline: 'fresh', trigger: 'schedule', status: 'completed' });

    const paused = await json(ScheduleStatus, ['schedules', 'pause', name, '--note', 'Redis is moved']);
    expect(paused).toMatchObject({ schedule: id, pipeline: 'fresh', overlap: 'skip', catchup: '1h', paused: true });
    expect(await json(ScheduleStatus, ['schedules', 'resume', name])).toMatchObject({ note: 'fresh values' });
    await addTinyPipeline(project, 'fresh', { extra: { schedule } });
    expect((await apply(['fresh', '--prune'])).changes).toMatchObject([
      { schedule: 'schedule/fresh', change: 'unchanged' },
      { schedule: id, change: 'remove' },
    ]);
  });
});

test('a schedule with pauseOnFailure whose run fails starts no other, and says so, until it is resumed', async () => {
  // Its data ends long before now.
  const schedule = { every: '10s', overlap: 'skip', pauseOnFailure: true };
  await addTinyPipeline(project, 'careful', { extra: { schedule } });
  await apply(['careful']);
  const paused = await until(async () => {
    const status = await statusOf('careful');
    return status?.paused ? status : undefined;
  }, 'the schedule is paused');
  expect(paused).toMatchObject({ pauseOnFailure: true, next: [] });
  expect(paused.note).toMatch(/fail/i);
  expect(paused.last.length).toBeGreaterThan(0);
  const resumed = await json<ScheduleStatus>(ScheduleStatus, ['schedules', 'resume', 'careful']);
  expect(resumed.paused).toBe(false);
});
