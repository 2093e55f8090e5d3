import type { Static } from 'typebox';
import Type from 'typebox';

/** The six parts of a run, in order. */
export const STAGES = ['extract', 'features', 'train', 'evaluate', 'promote', 'drift-check'] as const;
export const Stage = Type.Enum([...STAGES]);
export type Stage = (typeof STAGES)[number];

/** What a finished stage reports, in `RunResult.stages`, in the `progress` query and in the UI's table. */
export const StageResult = Type.Object({
  name: Stage,
  /** True when every step of the stage was found in the step cache. */
  cached: Type.Boolean(),
  seconds: Type.Number(),
  /** Rows that the stage produced or looked at; absent where rows mean nothing. */
  rows: Type.Optional(Type.Integer()),
  /** Stage-specific figures, e.g. rows of each source, quarantined rows, rounds. */
  details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
});
export type StageResult = Static<typeof StageResult>;
