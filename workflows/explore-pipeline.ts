import { proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { ExploreActivities } from '../activities/explore.ts';
import type { Explored, ExploreInput } from '../core/spec/exploration.ts';
import { TaskQueue } from '../core/spec/queues.ts';
import { cpu } from './proxies.ts';
import { extract, inspect } from './stages.ts';
import { Story } from './story.ts';

const { exploreData } = proxyActivities<ExploreActivities>({
  taskQueue: TaskQueue.cpu,
  startToCloseTimeout: '24h',
  heartbeatTimeout: '15s',
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '15s', maximumAttempts: 30 },
});

/** Extracts a pipeline's data as a run would, looks at it, and writes a page; trains nothing and decides nothing. */
export async function explorePipeline(argument: ExploreInput): Promise<Explored> {
  // Typed by hand, it may be missing: resolveRun says so in a sentence.
  const { limit, ...input } = argument ?? {};
  const story = new Story(String(input.pipeline), 'explore');
  const { startTime } = workflowInfo();
  const times = { startedAt: startTime.toISOString() };
  const run = await cpu.resolveRun.executeWithOptions({ summary: 'Read the pipeline, pin it' }, [{ input, ...times }]);
  story.enter('extract');
  const base = { run, spec: run.spec };
  const inspected = await inspect(base);
  story.asOf(inspected.asOf);
  const data = await story.stage('extract', (report) => extract(base, inspected, story, report));
  story.enter('features');
  const { output, cached } = await exploreData.executeWithOptions({ summary: `Look at the data as of ${data.asOf}` }, [
    { spec: run.spec, ...data, ...(limit === undefined ? {} : { limit }) },
  ]);
  story.note(`Page: ${output.page}`);
  const all = cached && story.stages.every((stage) => stage.cached);
  return { ...output, cached: all, seconds: (Date.now() - startTime.getTime()) / 1000 };
}
