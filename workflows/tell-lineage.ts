import {
  CancellationScope,
  condition,
  defineSignal,
  proxyActivities,
  setCurrentDetails,
  setHandler,
} from '@temporalio/workflow';
import type { OpenLineageActivities } from '../activities/openlineage.ts';
import { LINEAGE_SIGNAL, type LineageFacts, type LineageMoment, type LineageRun } from '../core/spec/openlineage.ts';
import { TaskQueue } from '../core/spec/queues.ts';

const { emitLineage } = proxyActivities<OpenLineageActivities>({
  taskQueue: TaskQueue.cpu,
  startToCloseTimeout: '1m',
  // A receiver that is down for the night is told in the morning.
  scheduleToCloseTimeout: '24h',
  retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '10m' },
});

export const momentsSignal = defineSignal<[LineageMoment[]]>(LINEAGE_SIGNAL);

/**
 * Tells the moments of one run as OpenLineage events, in order and each once. It outlives its run where the receiver is down,
 * and ends it for others where the run was terminated and could not say so. What the receiver refuses is given up.
 * @returns how many events were told, and how many refused
 */
export async function tellLineage(run: LineageRun): Promise<{ told: number; refused: number }> {
  const telling = new Telling(run);
  setHandler(momentsSignal, (moments) => telling.hear(moments));
  let orphaned = false;
  // The run is over: whatever it had to say was said before.
  CancellationScope.current().cancelRequested.catch(() => {
    orphaned = true;
  });
  return CancellationScope.nonCancellable(async () => {
    while (!telling.ended) {
      await condition(() => telling.waiting || orphaned);
      if (!telling.waiting) telling.abort();
      await telling.next();
    }
    const { told, refused } = telling;
    return { told, refused };
  });
}

class Telling {
  readonly #run: LineageRun;
  readonly #queue: LineageMoment[] = [];
  #facts: LineageFacts = {};
  #last: LineageMoment | undefined;
  #open: LineageMoment | undefined;
  told = 0;
  refused = 0;
  ended = false;

  constructor(run: LineageRun) {
    this.#run = run;
  }

  get waiting(): boolean {
    return this.#queue.length > 0;
  }

  hear(moments: readonly LineageMoment[]): void {
    this.#queue.push(...moments);
  }

  /** The run was terminated, or timed out: so is what was under way. */
  abort(): void {
    const at = new Date().toISOString();
    const reason = 'The run was terminated.';
    const end = { type: 'ABORT' as const, at, asOf: this.#last?.asOf ?? null, reason, facts: {} };
    if (this.#open) this.#queue.push({ ...end, stage: this.#open.stage });
    this.#queue.push({ ...end, stage: null });
  }

  /** Tells the oldest; each moment brings what is new, its event is told with all that is known. */
  async next(): Promise<void> {
    const moment = this.#queue.shift();
    if (!moment) return;
    const { trainingSet, ...facts } = this.#facts;
    const known = { ...facts, ...(trainingSet ? { trainingSet: withoutFeatures(trainingSet) } : {}), ...moment.facts };
    this.#facts = known;
    this.#last = moment;
    if (moment.stage !== null) this.#open = moment.type === 'START' ? moment : undefined;
    const summary = `${moment.type} ${moment.stage ?? this.#run.pipeline}`;
    const of = { run: this.#run, moment: { ...moment, facts: known } };
    const answer = await emitLineage.executeWithOptions({ summary }, [of]);
    if (typeof answer === 'boolean') this.told += 1;
    else this.#giveUp(summary, answer.refused);
    this.ended = moment.stage === null && !['START', 'RUNNING'].includes(moment.type);
  }

  /** For whoever looks at this workflow. */
  #giveUp(event: string, reason: string): void {
    this.refused += 1;
    setCurrentDetails(`${this.refused} event(s) were refused and given up, the last one "${event}": ${reason}`);
  }
}

type TrainingSetFacts = NonNullable<LineageFacts['trainingSet']>;

/** The columns are told of once. */
function withoutFeatures({ features: _, ...rest }: TrainingSetFacts): TrainingSetFacts {
  return rest;
}
