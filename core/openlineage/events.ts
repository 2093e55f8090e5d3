/** From a moment of a run to the event that tells of it. Equal moments make equal events, however often they are told. */
import type { Partition, Snapshot } from '../spec/artifacts.ts';
import type {
  LineageFacts,
  LineageMoment,
  LineageRun,
  OpenLineageDataset,
  OpenLineageEvent,
} from '../spec/openlineage.ts';
import type { PipelineSpec } from '../spec/pipeline.ts';
import type { Stage } from '../spec/stages.ts';
import type { ColumnLineage } from './column-lineage.ts';
import * as names from './datasets.ts';
import { facets, producerOf, SCHEMA_URL, uuidOf } from './facets.ts';

/** What the store says about what the moment names; only what its event needs has to be there. */
export interface EventContext {
  /** Version of Refit. */
  version: string;
  /** Namespace of the jobs. */
  namespace: string;
  /** Address of the store, folder of the project. */
  store: string;
  root: string;
  spec: Pick<PipelineSpec, 'sources'>;
  snapshots: Record<string, KnownSnapshot>;
  trainingSetLineage?: ColumnLineage;
}

interface KnownSnapshot {
  columns: Snapshot['columns'];
  /** How many. */
  partitions: number;
  /** The states of files that they go back to. */
  raw: NonNullable<Partition['folded']>;
  lineage?: ColumnLineage;
}

export function eventOf(run: LineageRun, moment: LineageMoment, context: EventContext): OpenLineageEvent {
  const { stage } = moment;
  const producer = producerOf(context.version);
  const { inputs, outputs } = datasetsOf(run, moment, context);
  return {
    eventType: moment.type,
    eventTime: moment.at,
    run: { runId: stage === null ? run.runId : uuidOf(run.runId, stage), facets: runFacets(run, moment, context) },
    job: {
      namespace: context.namespace,
      name: jobName(run.pipeline, stage),
      facets: facets(producer, {
        jobType: { processingType: 'BATCH', integration: 'REFIT', jobType: stage === null ? 'PIPELINE' : 'STAGE' },
        documentation: { description: stage === null ? run.question : `${STORY[stage]} (${run.pipeline})` },
      }),
    },
    inputs,
    outputs,
    producer,
    schemaURL: SCHEMA_URL,
  };
}

const jobName = (pipeline: string, stage: Stage | null) => (stage === null ? pipeline : `${pipeline}.${stage}`);

const STORY: Record<Stage, string> = {
  extract: 'Files are checked against their contracts and become snapshots',
  features: 'Labels and features as they were known, joined and split by time',
  train: 'Baseline, search and final fit',
  evaluate: 'Metrics, slices, parity and gates',
  promote: 'The version is registered and decided on',
  'drift-check': 'The newest window against the reference of the model that serves',
};

function runFacets(
  run: LineageRun,
  { type, stage, asOf, cached, reason, facts }: LineageMoment,
  context: EventContext,
) {
  const { version, namespace } = context;
  const job = { namespace, name: run.pipeline };
  const parent = { run: { runId: run.runId }, job, root: { run: { runId: run.runId }, job } };
  const ended = type === 'COMPLETE' || type === 'RUNNING';
  return facets(producerOf(version), {
    processing_engine: { name: 'refit', version, openlineageAdapterVersion: version },
    parent: stage === null ? undefined : parent,
    nominalTime: asOf === null ? undefined : { nominalStartTime: asOf },
    errorMessage: reason === undefined ? undefined : { message: reason, programmingLanguage: 'TYPESCRIPT' },
    refit_run: {
      ...{ pipeline: run.pipeline, asOf, workflowId: run.workflowId, declaration: run.spec.sha256 },
      ...(stage === null ? { stages: stagesDone(facts) } : { stage }),
      ...(cached === undefined ? {} : { cached }),
      ...(facts.decision && ended && (stage === null || stage === 'promote')
        ? { verdict: facts.decision.verdict }
        : {}),
      ...(facts.evaluation && ended && (stage === null || stage === 'evaluate')
        ? { metrics: facts.evaluation.metrics }
        : {}),
      ...(facts.drift && ended && (stage === null || stage === 'drift-check') ? { drift: facts.drift } : {}),
    },
  });
}

function stagesDone(facts: LineageFacts): Stage[] {
  const { snapshots, trainingSet, candidate, evaluation, decision, drift } = facts;
  const done: [Stage, unknown][] = [
    ['extract', snapshots],
    ['features', trainingSet],
    ['train', candidate],
    ['evaluate', evaluation],
    ['promote', decision],
    ['drift-check', drift],
  ];
  return done.flatMap(([stage, fact]) => (fact === undefined ? [] : [stage]));
}

/** What the job reads, and what it has written when it is complete. */
function datasetsOf(run: LineageRun, { type, stage, facts }: LineageMoment, context: EventContext) {
  const done = type === 'COMPLETE';
  const make = new Datasets(run, facts, context);
  const of: Record<Stage | 'run', { inputs: OpenLineageDataset[]; outputs: OpenLineageDataset[] }> = {
    run: { inputs: make.raw(), outputs: done ? make.model() : [] },
    extract: { inputs: make.raw(), outputs: done ? make.snapshots('output') : [] },
    features: { inputs: make.snapshots('input'), outputs: done ? make.trainingSet('output') : [] },
    train: { inputs: make.trainingSet('input'), outputs: done ? make.candidate() : [] },
    evaluate: { inputs: [...make.trainingSet('input'), ...make.candidate()], outputs: done ? make.report() : [] },
    promote: { inputs: [...make.candidate(), ...make.report()], outputs: done ? make.model() : [] },
    'drift-check': { inputs: [...make.trainingSet('input'), ...make.model()], outputs: [] },
  };
  return of[stage ?? 'run'];
}

/** Datasets by what is known of the run; none where nothing is. */
class Datasets {
  readonly #run: LineageRun;
  readonly #facts: LineageFacts;
  readonly #context: EventContext;
  readonly #producer: string;

  constructor(run: LineageRun, facts: LineageFacts, context: EventContext) {
    this.#run = run;
    this.#facts = facts;
    this.#context = context;
    this.#producer = producerOf(context.version);
  }

  raw(): OpenLineageDataset[] {
    const { root, spec, snapshots } = this.#context;
    return this.#run.sources.map((source) => {
      const name = names.rawName(root, this.#run.pipeline, source, spec.sources[source]);
      const raw = snapshots[source]?.raw;
      if (!raw) return name;
      const partitions = raw.first.map((file) => ({ name: file.name, sha256: file.raw ?? null, partition: file.data }));
      const files = [...new Set(raw.first.map((file) => file.name))];
      const locations = files.map((file) => names.rawName(root, '', source, { path: file } as never).name);
      return {
        ...name,
        facets: facets(this.#producer, { refit_partitions: { files: raw.files, partitions } }),
        inputFacets: facets(this.#producer, { subset: { inputCondition: { type: 'location', locations } } }),
      };
    });
  }

  snapshots(use: 'input' | 'output'): OpenLineageDataset[] {
    return Object.entries(this.#facts.snapshots ?? {}).map(([source, { id, rows }]) => {
      const known = this.#context.snapshots[source];
      const fields = known?.columns
        .filter(({ name }) => !name.startsWith('__'))
        .map(({ name, type }) => ({ name, type }));
      return {
        ...names.snapshotName(this.#context.store, source),
        facets: facets(this.#producer, {
          version: { datasetVersion: id },
          schema: fields && { fields },
          columnLineage: use === 'output' && known?.lineage ? { fields: known.lineage } : undefined,
        }),
        ...(use === 'output' ? this.#statistics({ rowCount: rows, fileCount: known?.partitions }) : {}),
      };
    });
  }

  trainingSet(use: 'input' | 'output'): OpenLineageDataset[] {
    const { trainingSet } = this.#facts;
    if (!trainingSet) return [];
    const { digest, rows, bytes, features } = trainingSet;
    const fields = features?.map(({ name, kind, view }) => ({
      ...{ name, type: kind === 'number' ? 'FLOAT' : 'VARCHAR', description: `feature of the view ${view}` },
    }));
    const label = { name: '__label', type: 'BOOLEAN', description: 'the label' };
    const { trainingSetLineage: lineage } = this.#context;
    return [
      {
        ...names.trainingSetName(this.#context.store, this.#run.pipeline),
        facets: facets(this.#producer, {
          version: { datasetVersion: digest },
          schema: fields && { fields: [label, ...fields] },
          columnLineage: use === 'output' && lineage ? { fields: lineage } : undefined,
        }),
        ...(use === 'output' ? this.#statistics({ rowCount: rows, size: bytes, fileCount: 1 }) : {}),
      },
    ];
  }

  candidate(): OpenLineageDataset[] {
    const { candidate } = this.#facts;
    if (!candidate) return [];
    return [
      {
        ...names.candidateName(this.#context.store, this.#run.pipeline),
        facets: facets(this.#producer, {
          version: { datasetVersion: candidate.sha256 },
          datasetType: { datasetType: 'MODEL', subType: 'ONNX' },
          refit_model: candidate,
        }),
      },
    ];
  }

  report(): OpenLineageDataset[] {
    const page = this.#facts.evaluation?.page;
    if (page === undefined) return [];
    const name = names.reportName(this.#context.store, this.#run.pipeline);
    return [{ ...name, facets: facets(this.#producer, { version: { datasetVersion: page } }) }];
  }

  model(): OpenLineageDataset[] {
    const { decision, candidate } = this.#facts;
    if (!decision) return [];
    const { version, sha256, verdict } = decision;
    return [
      {
        ...names.modelName(this.#context.store, this.#run.pipeline),
        facets: facets(this.#producer, {
          version: { datasetVersion: String(version) },
          datasetType: { datasetType: 'MODEL', subType: 'ONNX' },
          refit_model: { ...(candidate ?? {}), sha256, version, verdict },
        }),
      },
    ];
  }

  #statistics(contents: Record<string, number | undefined>): Pick<OpenLineageDataset, 'outputFacets'> {
    const known = Object.fromEntries(Object.entries(contents).filter(([, value]) => value !== undefined));
    return { outputFacets: facets(this.#producer, { outputStatistics: known }) };
  }
}
