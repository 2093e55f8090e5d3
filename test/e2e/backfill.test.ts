import { readdir } from 'node:fs/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RefitClient } from '../../client/index.ts';
import type { RunResult } from '../../core/spec/run.ts';
import { BackfillReport } from '../../core/spec/schedules.ts';
import { type Services, startServices, until } from '../support/own-server.ts';
import { createProject, type Outcome, type Project, refit, startRefit } from '../support/project.ts';
import { addTinyPipeline } from '../support/tiny-pipeline.ts';

const DATES = ['2020-08-31', '2020-09-30', '2020-10-31', '2020-11-30'].map((day) => `${day}T00:00:00Z`);
const ARGS = ['backfill', 'orders', '--from', '2020-08-31', '--to', '2020-11-30', '--every', '1mo'];
const BACKFILL = 'backfill/orders/2020-08-31_2020-11-30_1mo';

let project: Project;
let services: Services;
beforeAll(async () => {
  project = await createProject({ months: 0 });
  await addTinyPipeline(project, 'orders');
  services = await startServices(project);
});
afterAll(async () => {
  await services?.stop();
  await project?.remove();
});

function reportOf({ stdout, stderr }: Outcome): BackfillReport {
  const report = JSON.parse(stdout) as BackfillReport;
  const check = new Ajv2020({ strict: false }).compile(BackfillReport);
  expect(check(report), `${JSON.stringify(check.errors)}\n${stderr}`).toBe(true);
  return report;
}

const executions = async () => {
  const ids: string[] = [];
  for await (const { workflowId } of services.client.workflow.list({
    query: `TemporalScheduledById = '${BACKFILL}'`,
  })) {
    ids.push(workflowId);
  }
  return ids.sort();
};

test('left after its first run and taken up again: each date once, in order, as of that date', async () => {
  const leaving = startRefit(project, [...ARGS, '--json'], services.env);
  await until(async () => ((await executions()).length > 1 ? true : undefined), 'a second run');
  leaving.child.kill('SIGINT');
  const left = await leaving.outcome;
  expect(left.code).toBe(130);
  expect(left.stderr).toContain('the same command follows them again');
  expect(reportOf(left)).toMatchObject({ backfill: BACKFILL, complete: false });

  const done = await refit(project, [...ARGS, '--json'], services.env);
  expect(done.code, done.stderr).toBe(0);
  const report = reportOf(done);
  expect(report).toMatchObject({ complete: true, atOnce: 1 });
  expect(report.runs.map(({ asOf, status }) => [asOf, status])).toEqual(DATES.map((date) => [date, 'completed']));
  // Each is newer than the champion it meets.
  expect(report.runs.map(({ verdict }) => verdict)).toEqual(DATES.map(() => 'promoted'));
  expect(await executions()).toEqual(DATES.map((date) => `train/orders-${date}`));
  await expect(services.client.schedule.getHandle(BACKFILL).describe()).rejects.toThrow();
});

test('done before: the models are found in the step cache; several at once are bounded', async () => {
  const { code, stdout, stderr } = await refit(project, [...ARGS, '--at-once', '2', '--json'], services.env);
  expect(code, stderr).toBe(0);
  const { runs, atOnce } = reportOf({ code, stdout, stderr });
  expect(atOnce).toBe(2);
  expect(runs.map(({ verdict }) => verdict)).toEqual(DATES.map(() => 'unchanged'));
  const results = await Promise.all(runs.map(({ workflowId }) => resultOf(workflowId)));
  expect(await mostAtOnce()).toBeLessThanOrEqual(2);
  // What serves by now is another champion; up to the model all is found.
  for (const { stages } of results) expect(stages.slice(0, 3).map(({ cached }) => cached)).toEqual([true, true, true]);
  expect(await readdir(project.path('.refit/store/models/orders'))).toHaveLength(DATES.length + 1);
});

test('a scheduled, a typed and a client start of one asOf at once: one version, and they agree', async () => {
  const asOf = '2020-12-15T00:00:00Z';
  const client = new RefitClient(services.client);
  const before = (await readdir(project.path('.refit/store/models/orders'))).length;
  const [scheduled, typed, started] = await Promise.all([
    refit(project, ['backfill', 'orders', '--from', asOf, '--to', asOf, '--every', '1d', '--json'], services.env),
    services.client.workflow.execute('trainPipeline', {
      ...{
        workflowId: 'typed by hand',
        taskQueue: 'refit-control',
        args: [{ pipeline: 'orders', asOf: '2020-12-15' }],
      },
    }) as Promise<RunResult>,
    client.start({ pipeline: 'orders', asOf }).then((run) => run.result()),
  ]);
  const [run] = reportOf(scheduled).runs;
  expect(new Set([run?.version, typed.model.version, started.model.version]).size).toBe(1);
  expect([run?.asOf, typed.asOf, started.asOf]).toEqual([asOf, asOf, asOf]);
  expect(await readdir(project.path('.refit/store/models/orders'))).toHaveLength(before + 1);
});

/** Most runs of the backfill that were under way at one time. */
async function mostAtOnce(): Promise<number> {
  const runs: { from: number; to: number }[] = [];
  const query = `TemporalScheduledById IN ('${BACKFILL}', '${BACKFILL}/2')`;
  for await (const { startTime, closeTime } of services.client.workflow.list({ query })) {
    runs.push({ from: startTime.getTime(), to: closeTime?.getTime() ?? Infinity });
  }
  return Math.max(...runs.map(({ from: at }) => runs.filter(({ from, to }) => from <= at && at < to).length));
}

const resultOf = (workflowId: string) => services.client.workflow.getHandle(workflowId).result() as Promise<RunResult>;
