/** Bringing the online features of a pipeline to a date without training it. */
import type { Static } from 'typebox';
import Type from 'typebox';

/** Argument of the `materializeFeatures` workflow: small enough for a person to type in the Temporal UI. */
export const MaterializeInput = Type.Object(
  {
    pipeline: Type.String({ minLength: 1 }),
    /** ISO date or time in UTC; the pipeline's own rule when absent. */
    asOf: Type.Optional(Type.String()),
    /** Write everything, not just what changed since the last time. */
    force: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);
export type MaterializeInput = Static<typeof MaterializeInput>;

/** What the workflow answers, and `refit features materialize --json` prints. */
export const Materialization = Type.Object({
  pipeline: Type.String(),
  asOf: Type.String(),
  entities: Type.Integer(),
  rows: Type.Integer(),
  /** Rows that were newer than what was there. */
  written: Type.Integer(),
  /** Whether only what changed since the last time was looked at. */
  incremental: Type.Boolean(),
  /** Rows that an interrupted attempt before had written already. */
  resumed: Type.Integer(),
  store: Type.String(),
  seconds: Type.Number(),
});
export type Materialization = Static<typeof Materialization>;
