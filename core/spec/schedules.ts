/** What `refit schedules …` and `refit backfill` print with `--json`. Fields may be added, not renamed. */
import type { Static } from 'typebox';
import Type from 'typebox';
import { Verdict } from './run.ts';

const Text = Type.Union([Type.String(), Type.Null()]);
const PlainError = Type.Object({
  code: Type.String(),
  message: Type.String(),
  cure: Type.String(),
  details: Type.Record(Type.String(), Type.Unknown()),
});

/** What `refit schedules apply` does about one schedule, and which of its fields differ. Null: not set. */
export const ScheduleChange = Type.Object({
  /** `schedule/<pipeline>`; `schedule/<pipeline>/materialize` for its online features. */
  schedule: Type.String(),
  pipeline: Type.String(),
  /** undeclared: on the server, no longer in a pipeline; only `--prune` removes it. */
  change: Type.Enum(['create', 'update', 'unchanged', 'remove', 'undeclared']),
  fields: Type.Array(Type.Object({ field: Type.String(), from: Text, to: Text })),
  /** Paused on the server, which `apply` leaves as it is. */
  paused: Type.Boolean(),
});
export type ScheduleChange = Static<typeof ScheduleChange>;

/** `refit schedules apply`. */
export const ScheduleApply = Type.Object({
  dryRun: Type.Boolean(),
  changes: Type.Array(ScheduleChange),
  /** Pipelines whose declaration cannot be read: their schedules are left alone. */
  failed: Type.Array(Type.Object({ pipeline: Type.String(), error: PlainError })),
});
export type ScheduleApply = Static<typeof ScheduleApply>;

/** A run, or a materialisation, that a schedule started. */
const ScheduledRun = Type.Object({
  /** ISO UTC. */
  scheduledAt: Type.String(),
  startedAt: Type.String(),
  workflowId: Type.String(),
  runId: Type.String(),
});

export const ScheduleStatus = Type.Object({
  schedule: Type.String(),
  pipeline: Type.String(),
  /** Cron expression or interval, as people read it. */
  when: Type.String(),
  zone: Type.String(),
  overlap: Type.String(),
  catchup: Type.String(),
  pauseOnFailure: Type.Boolean(),
  paused: Type.Boolean(),
  /** Why it is paused, or what it is for. */
  note: Text,
  /** ISO UTC, soonest first; empty while it is paused. */
  next: Type.Array(Type.String()),
  /** Newest first. */
  last: Type.Array(ScheduledRun),
  running: Type.Array(Type.Object({ workflowId: Type.String(), runId: Type.String() })),
  /** Starts that were older than the catch-up window when the server came back. */
  missed: Type.Integer(),
  /** Starts that the overlap policy left out. */
  skipped: Type.Integer(),
  started: Type.Integer(),
});
export type ScheduleStatus = Static<typeof ScheduleStatus>;

/** `refit schedules list`. */
export const ScheduleList = Type.Object({ schedules: Type.Array(ScheduleStatus) });
export type ScheduleList = Static<typeof ScheduleList>;

/** `refit schedules trigger`: the run, or null where the server has not started it within ten seconds. */
export const ScheduleTrigger = Type.Object({
  schedule: Type.String(),
  pipeline: Type.String(),
  run: Type.Union([ScheduledRun, Type.Null()]),
});
export type ScheduleTrigger = Static<typeof ScheduleTrigger>;

export const BackfillRun = Type.Object({
  /** The time it was scheduled for, ISO UTC. */
  scheduledAt: Type.String(),
  workflowId: Type.String(),
  runId: Text,
  status: Type.Enum(['pending', 'running', 'completed', 'failed', 'cancelled']),
  asOf: Text,
  verdict: Type.Union([Verdict, Type.Null()]),
  version: Type.Union([Type.Integer(), Type.Null()]),
  /** On the test period. */
  auc: Type.Union([Type.Number(), Type.Null()]),
  /** Why it was rejected. */
  reason: Text,
  error: Type.Optional(PlainError),
});
export type BackfillRun = Static<typeof BackfillRun>;

/** `refit backfill`: runs in the order of their times. */
export const BackfillReport = Type.Object({
  /** Workflow-free name of the backfill: the id of its schedule. */
  backfill: Type.String(),
  pipeline: Type.String(),
  from: Type.String(),
  to: Type.String(),
  every: Type.String(),
  atOnce: Type.Integer(),
  /** False where it was left before its end: the same command goes on. */
  complete: Type.Boolean(),
  runs: Type.Array(BackfillRun),
});
export type BackfillReport = Static<typeof BackfillReport>;
