/**
 * Lineage as others read it: events of OpenLineage 2-0-2 (https://openlineage.io/spec/2-0-2/OpenLineage.json), written down
 * here from the specification, Refit's own facets, and what a workflow says of a run so that they can be made.
 */
import type { Static } from 'typebox';
import Type from 'typebox';
import { BlobRef, FeatureInfo } from './artifacts.ts';
import { Stage } from './stages.ts';

const Uri = Type.String({ format: 'uri' });
const Facet = Type.Object({ _producer: Uri, _schemaURL: Uri, _deleted: Type.Optional(Type.Boolean()) });
/** Name → facet; facets are open, each described by its own schema. */
const Facets = Type.Optional(Type.Record(Type.String(), Facet));
const Named = { namespace: Type.String(), name: Type.String(), facets: Facets };

export const OpenLineageDataset = Type.Object({ ...Named, inputFacets: Facets, outputFacets: Facets });
export type OpenLineageDataset = Static<typeof OpenLineageDataset>;

export const EventType = Type.Enum(['START', 'RUNNING', 'COMPLETE', 'ABORT', 'FAIL']);
export type EventType = Static<typeof EventType>;

/** A run event: one transition of a run of a job. */
export const OpenLineageEvent = Type.Object(
  {
    eventType: EventType,
    eventTime: Type.String({ format: 'date-time' }),
    run: Type.Object({ runId: Type.String({ format: 'uuid' }), facets: Facets }),
    job: Type.Object(Named),
    inputs: Type.Array(OpenLineageDataset),
    outputs: Type.Array(OpenLineageDataset),
    producer: Uri,
    schemaURL: Uri,
  },
  { additionalProperties: false },
);
export type OpenLineageEvent = Static<typeof OpenLineageEvent>;

/** Run facet `refit_run`: what Refit itself knows of a run or of a stage. */
export const RefitRunFacet = Type.Object({
  ...Facet.properties,
  pipeline: Type.String(),
  /** Logical date of the run, ISO UTC; null before it is known. */
  asOf: Type.Union([Type.String(), Type.Null()]),
  workflowId: Type.String(),
  /** Digest of the pipeline's declaration. */
  declaration: Type.String(),
  stage: Type.Optional(Stage),
  /** Nothing was computed: every result was found. */
  cached: Type.Optional(Type.Boolean()),
  verdict: Type.Optional(Type.String()),
  metrics: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  drift: Type.Optional(Type.Object({ drifted: Type.Array(Type.String()), share: Type.Number() })),
  /** Stages that are done. */
  stages: Type.Optional(Type.Array(Stage)),
});
export type RefitRunFacet = Static<typeof RefitRunFacet>;

/**
 * Dataset facet `refit_partitions`: the raw files, each with its SHA-256 (null where it is not recorded any more); of change data and
 * of a file that was corrected, all that they were folded of, each state of a file for itself.
 */
export const RefitPartitionsDatasetFacet = Type.Object({
  ...Facet.properties,
  files: Type.Integer(),
  /** The first thousand. `partition`: SHA-256 of what was extracted. */
  partitions: Type.Array(
    Type.Object({
      name: Type.String(),
      sha256: Type.Union([Type.String(), Type.Null()]),
      partition: Type.String(),
    }),
  ),
});
export type RefitPartitionsDatasetFacet = Static<typeof RefitPartitionsDatasetFacet>;

/** Dataset facet `refit_model`. */
export const RefitModelDatasetFacet = Type.Object({
  ...Facet.properties,
  /** SHA-256 of model.onnx. */
  sha256: Type.String(),
  trainer: Type.Optional(Type.String()),
  rounds: Type.Optional(Type.Integer()),
  version: Type.Optional(Type.Integer()),
  verdict: Type.Optional(Type.String()),
});
export type RefitModelDatasetFacet = Static<typeof RefitModelDatasetFacet>;

/** What a run has come to, as far as lineage tells of it; each stage adds its part. References, not data. */
export const LineageFacts = Type.Object({
  snapshots: Type.Optional(
    Type.Record(Type.String(), Type.Object({ id: Type.String(), rows: Type.Integer(), quarantined: Type.Integer() })),
  ),
  trainingSet: Type.Optional(
    Type.Object({
      digest: Type.String(),
      bytes: Type.Integer(),
      rows: Type.Integer(),
      /** Where the event is about the training set itself. */
      features: Type.Optional(Type.Array(FeatureInfo)),
    }),
  ),
  candidate: Type.Optional(Type.Object({ sha256: Type.String(), trainer: Type.String(), rounds: Type.Integer() })),
  evaluation: Type.Optional(Type.Object({ page: Type.String(), metrics: Type.Record(Type.String(), Type.Unknown()) })),
  decision: Type.Optional(Type.Object({ version: Type.Integer(), sha256: Type.String(), verdict: Type.String() })),
  drift: Type.Optional(RefitRunFacet.properties.drift),
});
export type LineageFacts = Static<typeof LineageFacts>;

/** A transition of a run (`stage` null) or of one of its stages, as its workflow saw it. */
export const LineageMoment = Type.Object({
  type: EventType,
  stage: Type.Union([Stage, Type.Null()]),
  /** ISO UTC: the same however often it is told. */
  at: Type.String(),
  asOf: Type.Union([Type.String(), Type.Null()]),
  cached: Type.Optional(Type.Boolean()),
  /** Why it failed. */
  reason: Type.Optional(Type.String()),
  facts: LineageFacts,
});
export type LineageMoment = Static<typeof LineageMoment>;

/** The run that moments are of. */
export const LineageRun = Type.Object({
  pipeline: Type.String(),
  question: Type.String(),
  spec: BlobRef,
  sources: Type.Array(Type.String()),
  workflowId: Type.String(),
  /** Temporal's run id, a UUID: OpenLineage's too. */
  runId: Type.String(),
});
export type LineageRun = Static<typeof LineageRun>;

/** Signal of the workflow that tells them, in order. */
export const LINEAGE_SIGNAL = 'moments';
