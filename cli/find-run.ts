import type { RefitClient, Run } from '../client/index.ts';
import { asRefitError } from '../client/index.ts';
import type { RunSummary as Listed } from '../client/list.ts';
import type { RunSummary } from '../core/spec/cli.ts';
import { RefitError } from '../core/spec/errors.ts';
import { nearest } from '../core/spec/nearest.ts';

/** Newest runs that are looked through for a name, or for names like it. */
const LOOKED_THROUGH = 500;
const RUN_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * The run that a person means: a workflow id (its newest run), `<workflow id>@<run id>`, a run id, or a pipeline's name (the
 * run that started last; with `running`, the one that is under way).
 * @throws RefitError REFIT_RUN_UNKNOWN, with the names that are nearest
 */
export async function findRun(client: RefitClient, text: string, { running = false } = {}): Promise<Run> {
  const [, workflowId = text, runId] = /^(.*)@([0-9a-f-]{36})$/.exec(text) ?? [];
  const found = await client.handle(workflowId, runId).catch((error: unknown) => {
    if (isUnknown(error)) return undefined;
    throw error;
  });
  if (found) return found;
  const runs: Listed[] = [];
  for await (const run of client.list({ limit: LOOKED_THROUGH })) runs.push(run);
  const own = RUN_ID.test(text)
    ? runs.filter((run) => run.runId === text)
    : runs.filter((run) => run.pipeline === text);
  const newest = newestFirst(running ? own.filter(({ status }) => status === 'running') : own)[0];
  if (newest) return client.handle(newest.workflowId, newest.runId);
  if (own.length > 0) throw new RefitError('REFIT_RUN_UNKNOWN', `No run of ${text} is under way.`, { pipeline: text });
  const known = [...new Set(runs.flatMap(({ pipeline, workflowId: id }) => [pipeline, id]))].filter(Boolean);
  const hint = known.length === 0 ? '; the server knows of no run' : nearest(workflowId, known);
  throw new RefitError('REFIT_RUN_UNKNOWN', `There is no run "${text}"${hint}.`, {
    run: text,
    known: known.slice(0, 20),
  });
}

function isUnknown(error: unknown): boolean {
  const { code, message } = asRefitError(error);
  // A run id that the server cannot read is no run either.
  return code === 'REFIT_RUN_UNKNOWN' || /invalid.*(run|workflow) ?id/i.test(message);
}

/** By the time they started. */
export function newestFirst(runs: Listed[]): Listed[] {
  return runs.toSorted((a, b) => b.startedAt.getTime() - a.startedAt.getTime());
}

/** A run as `--json` shows it. */
export function summaryJson(run: Listed): RunSummary {
  const { workflowId, runId, pipeline, status, startedAt, endedAt } = run;
  return {
    ...{ workflowId, runId, pipeline, status },
    startedAt: startedAt.toISOString(),
    endedAt: endedAt?.toISOString() ?? null,
    seconds: ((endedAt ?? new Date()).getTime() - startedAt.getTime()) / 1000,
    stage: run.stage ?? null,
    verdict: run.verdict ?? null,
    version: run.version ?? null,
    trigger: run.trigger ?? null,
  };
}
