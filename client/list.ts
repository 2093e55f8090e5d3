import type { Client, WorkflowExecutionInfo, WorkflowExecutionStatusName } from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { RefitError } from '../core/spec/errors.ts';
import { nearest } from '../core/spec/nearest.ts';
import { SearchAttribute } from '../core/spec/queues.ts';
import type { RunHandle } from '../core/spec/run.ts';
import { asRefitError } from './errors.ts';

/** Temporal's name of every status, as visibility queries spell it. */
const STATUS = {
  running: 'Running',
  completed: 'Completed',
  failed: 'Failed',
  cancelled: 'Canceled',
  terminated: 'Terminated',
  timedOut: 'TimedOut',
} as const;
export type RunStatus = keyof typeof STATUS;

/** Which runs; all conditions must hold. */
export interface RunFilter {
  pipeline?: string | undefined;
  model?: string | undefined;
  version?: number | undefined;
  /** `promoted`, `unchanged`, `rejected`, `failed`, or `waiting` (for a person's decision). */
  verdict?: string | undefined;
  /** The stage it is in, or `done`. */
  stage?: string | undefined;
  /** `schedule`, `operator`, `cli`, `client`, or what the caller of `start` said. */
  trigger?: string | undefined;
  status?: RunStatus | undefined;
  /** Most runs; all when absent. */
  limit?: number | undefined;
}

/** A line of the list of runs, newest first. What a run has not come to yet is absent. */
export interface RunSummary extends RunHandle {
  model?: string;
  version?: number;
  stage?: string;
  trigger?: string;
  verdict?: string;
  status: RunStatus;
  startedAt: Date;
  endedAt?: Date;
}

const ATTRIBUTES = ['pipeline', 'model', 'version', 'verdict', 'stage', 'trigger'] as const;

/** @throws RefitError REFIT_USAGE for an unknown status, REFIT_TEMPORAL_UNREACHABLE */
export async function* listRuns(client: Client, filter: RunFilter): AsyncGenerator<RunSummary, void, undefined> {
  const { limit = Number.POSITIVE_INFINITY } = filter;
  const query = visibilityQuery(filter);
  if (limit < 1) return;
  let seen = 0;
  try {
    for await (const run of client.workflow.list({ query, pageSize: Math.min(limit, 200) })) {
      yield summaryOf(run);
      seen += 1;
      if (seen >= limit) return;
    }
  } catch (error) {
    throw asRefitError(error);
  }
}

/** @internal e.g. `WorkflowType = 'trainPipeline' AND RefitPipeline = 'flight-delays'` */
export function visibilityQuery(filter: RunFilter): string {
  const conditions = ["WorkflowType = 'trainPipeline'"];
  for (const name of ATTRIBUTES) {
    const value = filter[name];
    if (value !== undefined) conditions.push(`${SearchAttribute[name]} = ${quoted(String(value))}`);
  }
  if (filter.status !== undefined) {
    if (!Object.hasOwn(STATUS, filter.status)) {
      const known = nearest(filter.status, Object.keys(STATUS));
      throw new RefitError('REFIT_USAGE', `There is no status "${filter.status as string}"${known}.`);
    }
    conditions.push(`ExecutionStatus = '${STATUS[filter.status]}'`);
  }
  return conditions.join(' AND ');
}

/** A string of a visibility query: backslashes and quotes are escaped, so that a name cannot become a condition. */
const quoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** @internal One run, from the list or described. */
export function summaryOf(run: Omit<WorkflowExecutionInfo, 'raw'>): RunSummary {
  const attributes: Partial<Record<(typeof ATTRIBUTES)[number], string>> = {};
  for (const name of ATTRIBUTES) {
    const value = attributeOf(run, name);
    if (value !== undefined) attributes[name] = value;
  }
  const { version, ...texts } = attributes;
  return {
    workflowId: run.workflowId,
    runId: run.runId,
    ...texts,
    pipeline: pipelineOf(run),
    ...(version === undefined ? {} : { version: Number(version) }),
    status: statusOf(run.status.name),
    startedAt: run.startTime,
    ...(run.closeTime === undefined ? {} : { endedAt: run.closeTime }),
  };
}

/** The pipeline of a run: what the run says, else what its id says (before its first task). */
export function pipelineOf(run: Pick<WorkflowExecutionInfo, 'workflowId' | 'typedSearchAttributes'>): string {
  return attributeOf(run, 'pipeline') ?? /^train\/([^/]+)\//.exec(run.workflowId)?.[1] ?? '';
}

function attributeOf(
  { typedSearchAttributes }: Pick<WorkflowExecutionInfo, 'typedSearchAttributes'>,
  name: keyof typeof SearchAttribute,
): string | undefined {
  return typedSearchAttributes.get(defineSearchAttributeKey(SearchAttribute[name], SearchAttributeType.KEYWORD));
}

function statusOf(name: WorkflowExecutionStatusName): RunStatus {
  const status = name.toLowerCase().replace('timed_out', 'timedOut');
  return Object.hasOwn(STATUS, status) ? (status as RunStatus) : 'running';
}
