import {
  CancellationScope,
  ChildWorkflowCancellationType,
  type ChildWorkflowHandle,
  log,
  ParentClosePolicy,
  sleep,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import type { Judgement } from '../activities/evaluate.ts';
import type { Decision } from '../activities/promote.ts';
import type { ResolvedRun } from '../core/spec/activities.ts';
import type { TrainingSet } from '../core/spec/artifacts.ts';
import type { DriftReport } from '../core/spec/evaluation.ts';
import type { EventType, LineageFacts, LineageMoment } from '../core/spec/openlineage.ts';
import type { Stage, StageResult } from '../core/spec/stages.ts';
import type { Candidate, Data } from './stages.ts';
import type { Story } from './story.ts';
import { momentsSignal, type tellLineage } from './tell-lineage.ts';

/** How long a run waits at its end for what is still to be told. */
const PATIENCE = { silent: '2s', more: '6s' } as const;

/** Has the story of a run told as lineage, by a workflow beside it; does nothing at all where nobody listens. */
export class LineageTeller {
  readonly #story: Story;
  readonly #listened: boolean;
  #child: ChildWorkflowHandle<typeof tellLineage> | undefined;
  /** What is said goes out in order; a teller that cannot be reached keeps nobody waiting. */
  #sending: Promise<void> = Promise.resolve();
  #open: Stage | undefined;

  constructor(run: ResolvedRun, story: Story) {
    this.#story = story;
    this.#listened = run.lineage === true;
    if (!this.#listened) return;
    const { workflowId, runId, startTime } = workflowInfo();
    this.#then(async () => {
      this.#child = await startChild<typeof tellLineage>('tellLineage', {
        workflowId: `lineage/${runId}`,
        args: [
          {
            ...{ pipeline: run.pipeline, question: run.question, spec: run.spec, sources: run.sources },
            ...{ workflowId, runId },
          },
        ],
        // It is told when the run is over, and goes on until all is told.
        parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
        cancellationType: ChildWorkflowCancellationType.ABANDON,
        staticSummary: `OpenLineage events of ${workflowId}`,
      });
    });
    this.#say({ type: 'START', stage: null, at: startTime.toISOString() });
    story.watch({
      entered: (stage, at) => {
        this.#open = stage;
        this.#say({ type: 'START', stage, at: new Date(at).toISOString() });
      },
      finished: (result, value) => {
        this.#open = undefined;
        const facts = factsIn(result, value);
        this.#say(
          { type: 'COMPLETE', stage: result.name, cached: result.cached, facts },
          { type: 'RUNNING', stage: null },
        );
      },
    });
  }

  /** The run is over; waits a little until that is told. */
  async end(type: Exclude<EventType, 'START' | 'RUNNING'>, reason?: string): Promise<void> {
    if (!this.#listened) return;
    const why = reason === undefined ? {} : { reason };
    const open = this.#open === undefined ? [] : [{ type, stage: this.#open, ...why }];
    this.#say(...open, { type, stage: null, ...why });
    await CancellationScope.nonCancellable(async () => {
      await this.#sending;
      const told = this.#child?.result().then(
        ({ refused }) => {
          if (refused > 0) this.#story.lineageRefused(refused);
          return true;
        },
        () => true,
      );
      const late = (time: '2s' | '6s') => sleep(time).then(() => false);
      if (!told || (await Promise.race([told, late(PATIENCE.silent)]))) return;
      this.#story.lineageWaits();
      await Promise.race([told, late(PATIENCE.more)]);
    });
  }

  #say(...moments: (Pick<LineageMoment, 'type' | 'stage'> & Partial<LineageMoment>)[]): void {
    const { asOf } = this.#story.progress;
    const at = new Date().toISOString();
    const whole = moments.map((moment) => ({ at, asOf, facts: {}, ...moment }));
    this.#then(async () => {
      await this.#child?.signal(momentsSignal, whole);
    });
  }

  #then(work: () => Promise<void>): void {
    this.#sending = this.#sending.then(() =>
      CancellationScope.nonCancellable(work).catch((error: unknown) => {
        this.#child = undefined;
        log.warn('Lineage is not told any more', { error });
      }),
    );
  }
}

/** Telling is an extra: what cannot be told must not stop what is told of. */
function factsIn(result: StageResult, value: unknown): LineageFacts {
  try {
    return factsOf(result, value);
  } catch (error) {
    log.warn(`Lineage of ${result.name} is not told`, { error });
    return {};
  }
}

/** What a stage's result adds to what is known of the run: names, digests and counts. */
function factsOf({ name }: StageResult, value: unknown): LineageFacts {
  switch (name) {
    case 'extract': {
      const snapshots = Object.entries((value as Data).snapshots).map(([source, { id, rows, quarantined }]) => {
        return [source, { id, rows, quarantined }] as const;
      });
      return { snapshots: Object.fromEntries(snapshots) };
    }
    case 'features': {
      const { digest, data, rows, features } = value as TrainingSet;
      const all = rows.train + rows.validate + rows.test;
      return { trainingSet: { digest, bytes: data.bytes, rows: all, features } };
    }
    case 'train': {
      const { trainer, onnx, rounds } = (value as Candidate).model;
      return { candidate: { sha256: onnx.sha256, trainer, rounds } };
    }
    case 'evaluate': {
      const { page, metrics } = value as Judgement;
      return { evaluation: { page, metrics: { ...metrics } } };
    }
    case 'promote': {
      const { model, verdict } = value as Decision;
      return { decision: { version: model.version, sha256: model.sha256, verdict } };
    }
    case 'drift-check': {
      const { drifted, share } = value as DriftReport;
      return { drift: { drifted, share } };
    }
  }
}
