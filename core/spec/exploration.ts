/** What `refit explore` finds in a pipeline's data: figures only, from which the page is drawn. */
import type { Static } from 'typebox';
import Type from 'typebox';
import { FeatureKind } from './artifacts.ts';

const Nullable = <Schema extends Type.TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);
const Count = Type.Integer({ minimum: 0 });

/** Argument of the `explorePipeline` workflow. */
export const ExploreInput = Type.Object(
  {
    pipeline: Type.String({ minLength: 1 }),
    asOf: Type.Optional(Type.String()),
    set: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    /** A feature that alone reaches this area under the ROC curve is suspected; 0.9 unless given. */
    limit: Type.Optional(Type.Number({ minimum: 0.5, maximum: 1 })),
  },
  { additionalProperties: false },
);
export type ExploreInput = Static<typeof ExploreInput>;

export const SUSPICIONS = ['predicts-alone', 'missing-tells', 'known-late', 'never-known'] as const;
/** Why something may tell the label what nobody can know at the prediction time. */
export const Suspect = Type.Object({
  /** A feature, or `source.column`. */
  name: Type.String(),
  why: Type.Enum([...SUSPICIONS]),
  /** The area under the ROC curve, or the share of rows. */
  value: Type.Number(),
  /** One sentence. */
  reason: Type.String(),
});
export type Suspect = Static<typeof Suspect>;

/** Rows of a bar by label; `unlabelled` are in `rows` only. */
const Bar = Type.Object({ rows: Count, labelled: Count, positives: Count });

export const NumberFigures = Type.Object({
  mean: Type.Number(),
  std: Nullable(Type.Number()),
  min: Type.Number(),
  max: Type.Number(),
  /** At 1, 5, 25, 50, 75, 95, 99 %. */
  quantiles: Type.Array(Type.Number(), { minItems: 7, maxItems: 7 }),
  /** Three times the distance of the quartiles beyond them (Tukey's outer fences), and the rows outside. */
  outliers: Type.Object({ low: Type.Number(), high: Type.Number(), below: Count, above: Count }),
  /** Even bins over 1 %..99 % (the ends take what is beyond), or one a value where there are few. */
  histogram: Type.Array(Type.Object({ from: Type.Number(), to: Type.Number(), ...Bar.properties })),
});
export type NumberFigures = Static<typeof NumberFigures>;

export const CategoryFigures = Type.Object({
  /** Most frequent first. */
  top: Type.Array(Type.Object({ value: Type.String(), ...Bar.properties })),
  /** All other values together. */
  other: Bar,
});
export type CategoryFigures = Static<typeof CategoryFigures>;

export const FeatureFigures = Type.Object({
  name: Type.String(),
  kind: FeatureKind,
  view: Type.String(),
  missing: Count,
  distinct: Count,
  /** How well the feature alone tells the outcomes apart, whichever way round; null where nothing can be said. */
  auc: Nullable(Type.Number()),
  /** Absent where every value is missing. */
  number: Type.Optional(NumberFigures),
  category: Type.Optional(CategoryFigures),
  /** Share of rows without a value, by twenty-fourth of the time. */
  missingOverTime: Type.Array(Type.Number()),
  /** In words: constant, always missing, nearly one value a row, the same as another. */
  notes: Type.Array(Type.String()),
});
export type FeatureFigures = Static<typeof FeatureFigures>;

export const ColumnFigures = Type.Object({
  name: Type.String(),
  type: Type.String(),
  missingShare: Type.Number(),
  /** About; exact would cost more than the features. */
  distinct: Count,
  min: Nullable(Type.String()),
  max: Nullable(Type.String()),
  /** Of the spine's source: share of values that were not known yet at the prediction time. */
  lateShare: Nullable(Type.Number()),
  /** Share of values that nobody knows by asOf. */
  unknownShare: Type.Number(),
});
export type ColumnFigures = Static<typeof ColumnFigures>;

export const SourceFigures = Type.Object({
  name: Type.String(),
  snapshot: Type.String(),
  files: Count,
  rows: Count,
  rejected: Count,
  rules: Type.Array(Type.Object({ rule: Type.String(), count: Count })),
  newestEvent: Nullable(Type.String()),
  columns: Type.Array(ColumnFigures),
});
export type SourceFigures = Static<typeof SourceFigures>;

export const Exploration = Type.Object({
  /** Rows that could have been asked about by asOf, those with a known label, and those whose label is true. */
  rows: Count,
  labelled: Count,
  positives: Count,
  from: Nullable(Type.String()),
  to: Nullable(Type.String()),
  /** Rows that AUC and correlations were measured on. */
  sample: Count,
  limit: Type.Number(),
  suspects: Type.Array(Suspect),
  features: Type.Array(FeatureFigures),
  /** Label over time, oldest first; `at` ISO UTC. */
  time: Type.Object({ unit: Type.String(), bins: Type.Array(Type.Object({ at: Type.String(), ...Bar.properties })) }),
  /** Spearman's rank correlation of numbers and the label; `matrix[i][j]`, null where one does not vary. */
  correlations: Type.Object({
    names: Type.Array(Type.String()),
    matrix: Type.Array(Type.Array(Nullable(Type.Number()))),
  }),
  /** Of all numbers, strongest first. */
  pairs: Type.Array(Type.Object({ a: Type.String(), b: Type.String(), r: Type.Number() })),
  sources: Type.Array(SourceFigures),
});
export type Exploration = Static<typeof Exploration>;

/** What the `explorePipeline` workflow answers. */
export const Explored = Type.Object({
  pipeline: Type.String(),
  asOf: Type.String(),
  /** The page: a path where the store is a folder. */
  page: Type.String(),
  rows: Count,
  labelled: Count,
  positives: Count,
  features: Type.Array(
    Type.Object({
      name: Type.String(),
      kind: FeatureKind,
      view: Type.String(),
      missing: Count,
      distinct: Count,
      auc: Nullable(Type.Number()),
      notes: Type.Array(Type.String()),
    }),
  ),
  suspects: Type.Array(Suspect),
  sources: Type.Array(
    Type.Object({ name: Type.String(), files: Count, rows: Count, rejected: Count, snapshot: Type.String() }),
  ),
  cached: Type.Boolean(),
  seconds: Type.Number(),
});
export type Explored = Static<typeof Explored>;
