import { rm } from 'node:fs/promises';
import type { WorkflowExecutionInfo } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RunResult } from '../../core/spec/run.ts';
import type { ScheduleApply } from '../../core/spec/schedules.ts';
import { describeSchedule } from '../../schedules/look.ts';
import { type Services, startServices, until } from '../support/own-server.ts';
import { createProject, type Project, refit } from '../support/project.ts';
import { addTinyPipeline } from '../support/tiny-pipeline.ts';

const PERIOD_MS = 8_000;
/** The shortest that the server takes. */
const SHORT_CATCHUP_MS = 10_000;

let project: Project;
let services: Services;
beforeAll(async () => {
  project = await createProject({ months: 0 });
  const schedule = { every: '8s', overlap: 'buffer-all' };
  await addTinyPipeline(project, 'patient', {
    dataUntil: new Date(),
    extra: { schedule: { ...schedule, catchup: '1h' } },
  });
  await addTinyPipeline(project, 'hasty', {
    dataUntil: new Date(),
    extra: { schedule: { ...schedule, catchup: '10s' } },
  });
  // Only when it starts is of interest: without data, its runs end at once.
  await rm(project.path('data/hasty'), { recursive: true });
  services = await startServices(project);
});
afterAll(async () => {
  await services?.stop();
  await project?.remove();
});

test('everything was down for three periods: each missed run is made up for once, in order, as of its own time', async () => {
  const { code, stdout } = await refit(project, ['schedules', 'apply', '--json'], services.env);
  expect(code, stdout).toBe(0);
  expect((JSON.parse(stdout) as ScheduleApply).changes.map(({ change }) => change)).toEqual(['create', 'create']);
  const first = await until(async () => (await runsOf('patient')).find(isCompleted)?.at, 'a first run');

  await services.stop();
  const down = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 3.5 * PERIOD_MS));
  const back = Date.now();
  services = await startServices(project);

  const due = timesBetween(first, back);
  const missed = timesBetween(down, back);
  expect(missed.length).toBeGreaterThanOrEqual(3);
  const runs = await until(async () => {
    const done = (await runsOf('patient')).filter(({ at }) => at >= first && at <= back);
    return due.every((time) => done.some((run) => run.at === time && isCompleted(run))) ? done : undefined;
  }, 'a run for each time that was missed');

  // Once each, and nothing twice.
  expect(runs.map(({ at }) => at)).toEqual(due);
  // One after the other, the oldest first.
  for (const [index, { startTime }] of runs.slice(1).entries()) {
    expect(startTime.getTime()).toBeGreaterThanOrEqual(runs[index]?.closeTime?.getTime() ?? Infinity);
  }
  // As of the time each was scheduled for, not of when it was started in the end.
  for (const { at, workflowId } of runs) {
    const result = (await services.client.workflow.getHandle(workflowId).result()) as RunResult;
    expect(Date.parse(result.asOf)).toBe(at);
  }

  // The other one's window is shorter than the outage was: what is older is let go of, and counted.
  const tooOld = missed.filter((time) => time < back - SHORT_CATCHUP_MS);
  expect(tooOld.length).toBeGreaterThan(0);
  const caughtUp = await until(async () => {
    const { missed: counted } = await describeSchedule(services.client.schedule, 'hasty');
    const started = (await runsOf('hasty')).filter(({ at }) => at > down && at <= back).map(({ at }) => at);
    return started.length === missed.length - counted ? started : undefined;
  }, 'a run or a count for each time that was missed');
  expect(new Set(caughtUp).size).toBe(caughtUp.length);
  expect(caughtUp.filter((time) => tooOld.includes(time))).toEqual([]);
});

type ScheduledRun = WorkflowExecutionInfo & { at: number };
const isCompleted = ({ status }: ScheduledRun) => status.name === 'COMPLETED';

/** Runs of a pipeline that its schedule started, in the order of their times (ms since 1970). */
async function runsOf(pipeline: string): Promise<ScheduledRun[]> {
  const runs: ScheduledRun[] = [];
  const query = `TemporalScheduledById = 'schedule/${pipeline}'`;
  for await (const info of services.client.workflow.list({ query })) {
    runs.push({ ...info, at: Date.parse(info.workflowId.slice(`train/${pipeline}-`.length)) });
  }
  return runs.sort((a, b) => a.at - b.at);
}

/** Times of the schedule, counted from 1970, from `from` to `to`. */
function timesBetween(from: number, to: number): number[] {
  const times: number[] = [];
  for (let time = Math.ceil(from / PERIOD_MS) * PERIOD_MS; time <= to; time += PERIOD_MS) times.push(time);
  return times;
}
