import { ActivityFailure, ApplicationFailure, isCancellation, workflowInfo } from '@temporalio/workflow';
import type { RunInput, RunResult } from '../core/spec/run.ts';
import { cpu } from './proxies.ts';
import { checkDrift, evaluate, extract, features, promote, train } from './stages.ts';
import { Story } from './story.ts';

/**
 * One run of a pipeline: extract → features → train → evaluate → promote → drift-check, as of a date. Every step's result
 * is cached under what it depended on, so a run that is repeated, resumed or overtaken finds what is there.
 */
export async function trainPipeline(input: RunInput): Promise<RunResult> {
  const { workflowId, runId, startTime } = workflowInfo();
  const story = new Story(String(input?.pipeline ?? ''), trigger());
  try {
    const run = await cpu.resolveRun({ input, startedAt: startTime.toISOString() });
    const base = { run, spec: run.spec, ...(input.force ? { force: runId } : {}) };

    const data = await story.stage('extract', (report) => extract(base, story, report));
    const context = { ...base, ...data };
    const trainingSet = await story.stage('features', (report) => features(context, report));
    const candidate = await story.stage('train', (report) => train(context, trainingSet, story, report));
    const judged = await story.stage('evaluate', (report) => evaluate(context, trainingSet, candidate, report));
    story.note(`Report: ${judged.reportAddress}`);
    const decision = await story.stage('promote', (report) => promote(context, trainingSet, candidate, judged, report));
    const drift = await story.stage('drift-check', (report) => checkDrift(context, trainingSet, decision, report));

    await story.end(decision.verdict, decision.model.version);
    return {
      runId,
      workflowId,
      pipeline: run.pipeline,
      asOf: data.asOf,
      stages: story.stages,
      metrics: judged.metrics,
      gates: decision.gates,
      verdict: decision.verdict,
      model: decision.model,
      drift: { drifted: drift.drifted, share: drift.share },
      report: judged.reportAddress,
      seconds: (Date.now() - startTime.getTime()) / 1000,
    };
  } catch (error) {
    story.fail(reasonOf(error));
    throw error;
  }
}

/** Who started the run, for the search attribute. */
function trigger(): string {
  const { searchAttributes, memo } = workflowInfo();
  if (searchAttributes.TemporalScheduledById) return 'schedule';
  return typeof memo?.trigger === 'string' ? memo.trigger : 'operator';
}

function reasonOf(error: unknown): string {
  if (isCancellation(error)) return 'cancelled';
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) return `${cause.type ?? 'error'}: ${cause.message}`;
  return cause instanceof Error ? cause.message : String(cause);
}
