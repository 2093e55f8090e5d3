import { isCancellation, TemporalFailure, workflowInfo } from '@temporalio/workflow';
import type { Materialization, MaterializeInput } from '../core/spec/materialization.ts';
import { cpu } from './proxies.ts';
import { reasonOf, times, trigger } from './run-facts.ts';
import { extract, inspect } from './stages.ts';
import { Story } from './story.ts';

/**
 * Brings the online features that a pipeline serves to a date: extracts what is new as a run would, and writes what changed; trains
 * nothing and decides nothing. For fresh values between runs.
 */
export async function materializeFeatures(input: MaterializeInput): Promise<Materialization> {
  const { runId, startTime } = workflowInfo();
  const story = new Story(String(input?.pipeline ?? ''), trigger());
  try {
    const run = await cpu.resolveServed.executeWithOptions({ summary: 'Read what is served, pin it' }, [
      { input, ...times() },
    ]);
    const base = { run, spec: run.spec };
    story.enter('extract');
    const inspected = await inspect(base);
    story.asOf(inspected.asOf);
    const data = await story.stage('extract', (report) => extract(base, inspected, story, report));
    const done = await story.stage('features', async (report) => {
      const written = report.done(
        await cpu.materializeOnline.executeWithOptions({ summary: `Online features as of ${data.asOf}` }, [
          { spec: run.spec, ...data, ...(input.force ? { force: runId } : {}) },
        ]),
      );
      report.rows(written.rows);
      report.detail('entities', written.entities);
      return written;
    });
    story.attribute({ stage: 'done' });
    const seconds = (Date.now() - startTime.getTime()) / 1000;
    return { pipeline: run.pipeline, asOf: data.asOf, ...done, seconds };
  } catch (error) {
    // A defect in this code: the server tries the task again, with the code that mends it.
    if (!(error instanceof TemporalFailure)) throw error;
    story.fail(reasonOf(error), isCancellation(error) ? 'cancelled' : 'failed');
    throw error;
  }
}
