import { CancellationScope, isCancellation, patched, TemporalFailure, workflowInfo } from '@temporalio/workflow';
import type { ResolvedRun } from '../core/spec/activities.ts';
import type { RunInput, RunResult } from '../core/spec/run.ts';
import { STAGES, type Stage } from '../core/spec/stages.ts';
import { announceFailure } from './announcements.ts';
import { Approval } from './approval.ts';
import { LineageTeller } from './lineage-teller.ts';
import { cpu } from './proxies.ts';
import { reasonOf, times, trigger } from './run-facts.ts';
import { type Claim, claimRunKey, release } from './run-key.ts';
import { checkDrift, evaluate, extract, features, type Inspected, inspect, promote, train } from './stages.ts';
import { Story } from './story.ts';

/**
 * One run of a pipeline: extract → features → train → evaluate → promote → drift-check, as of a date. Every step's result
 * is cached under what it depended on, so a run that is repeated, resumed or overtaken finds what is there. Of several runs of
 * one key at once, one does the work and the others are given its result.
 */
export async function trainPipeline(input: RunInput): Promise<RunResult> {
  const story = new Story(String(input?.pipeline ?? ''), trigger());
  const approval = new Approval(story);
  let run: ResolvedRun | undefined;
  let lineage: LineageTeller | undefined;
  try {
    run = await cpu.resolveRun.executeWithOptions({ summary: 'Read the pipeline, pin it' }, [{ input, ...times() }]);
    if (run.earlier) return await repeat(run.earlier, story);
    lineage = new LineageTeller(run, story);
    story.enter('extract');
    const inspected = await inspect({ run, spec: run.spec });
    story.asOf(inspected.asOf);
    const claim = await claimKey(run, inspected.asOf, story);
    if (claim && 'result' in claim) {
      const repeated = await repeat(await keepOf(input, claim.result), story);
      await lineage.end('COMPLETE');
      return repeated;
    }

    const result = await work(input, run, inspected, { story, approval });
    const kept = input.key === undefined ? result : await cpu.recordResult({ input, result });
    if (claim) await release(claim.hold, kept);
    await lineage.end('COMPLETE');
    return kept;
  } catch (error) {
    // A defect in this code: the server tries the task again, with the code that mends it.
    if (!(error instanceof TemporalFailure)) throw error;
    const reason = reasonOf(error);
    story.fail(reason, isCancellation(error) ? 'cancelled' : 'failed');
    if (!isCancellation(error) && patched('announcements')) {
      await CancellationScope.nonCancellable(() => announceFailure(run, story.progress, reason));
    }
    await lineage?.end(isCancellation(error) ? 'ABORT' : 'FAIL', reason);
    throw error;
  }
}

/** The six stages. */
async function work(
  input: RunInput,
  run: ResolvedRun,
  inspected: Inspected,
  { story, approval }: { story: Story; approval: Approval },
): Promise<RunResult> {
  const { workflowId, runId, startTime } = workflowInfo();
  /** A token where the stage is to be computed anew. */
  const force = (stage: Stage) =>
    input.force || (input.from && STAGES.indexOf(input.from) <= STAGES.indexOf(stage)) ? { force: runId } : {};
  const base = { run, spec: run.spec };

  const data = await story.stage('extract', (report) =>
    extract({ ...base, ...force('extract') }, inspected, story, report),
  );
  const context = (stage: Stage) => ({ ...base, ...data, ...force(stage) });
  const trainingSet = await story.stage('features', (report) => features(context('features'), report));
  const candidate = await story.stage('train', (report) => train(context('train'), trainingSet, story, report));
  const judged = await story.stage('evaluate', (report) =>
    evaluate(context('evaluate'), trainingSet, candidate, report),
  );
  story.note(`Report: ${judged.reportAddress}`);
  const decision = await story.stage('promote', (report) =>
    promote(context('promote'), trainingSet, candidate, judged, { approval, report }),
  );
  const drift = await story.stage('drift-check', (report) =>
    checkDrift(context('drift-check'), trainingSet, decision, report),
  );
  await story.end(decision.verdict, decision.model.version);
  return story.result({
    ...{ runId, workflowId, pipeline: run.pipeline, asOf: data.asOf, stages: story.stages },
    ...{ metrics: judged.metrics, gates: decision.gates, verdict: decision.verdict, model: decision.model },
    drift: { drifted: drift.drifted, share: drift.share },
    report: judged.reportAddress,
    seconds: (Date.now() - startTime.getTime()) / 1000,
  });
}

/** Runs that were under way before there were run keys go on without. */
async function claimKey(run: ResolvedRun, asOf: string, story: Story): Promise<Claim | undefined> {
  if (run.digest === undefined || !patched('run-key')) return undefined;
  const claim = await claimRunKey(`${run.pipeline}/${asOf}/${run.digest}`, ({ workflowId }) =>
    story.follow(workflowId),
  );
  if ('hold' in claim) story.lead();
  return claim;
}

/** A run that was told the result of another keeps it under its own idempotency key. */
async function keepOf(input: RunInput, result: RunResult): Promise<RunResult> {
  if (input.key === undefined || !patched('key-of-follower')) return result;
  return cpu.recordResult({ input, result });
}

async function repeat(result: RunResult, story: Story): Promise<RunResult> {
  await story.repeat(result);
  return result;
}
