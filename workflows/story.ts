import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import {
  allHandlersFinished,
  condition,
  defineQuery,
  defineSignal,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { type Done, PROGRESS_SIGNAL, type ProgressReport } from '../core/spec/activities.ts';
import { atMost } from '../core/spec/at-most.ts';
import { SearchAttribute } from '../core/spec/queues.ts';
import type { Progress, RunResult, Verdict } from '../core/spec/run.ts';
import type { Stage, StageResult } from '../core/spec/stages.ts';
import { stageTable } from './stage-table.ts';

export const progressQuery = defineQuery<Progress>('progress');
const progressSignal = defineSignal<[ProgressReport]>(PROGRESS_SIGNAL);

/** Together less than what Temporal is given as it is (docs/adr/0021). */
const MOST_BYTES = { stage: 6 * 1024, gates: 12 * 1024, drifted: 8 * 1024 };

type Attribute = keyof typeof SearchAttribute;

/** Collects what the steps of one stage report. */
export interface StageReport {
  /** Passes a step's answer on, and remembers whether it was cached. */
  done<T>(answer: Done<T>): T;
  rows(rows: number): void;
  detail(name: string, value: unknown): void;
}

/** Is told when a stage begins (ms since 1970), and what it came to. */
export interface StageWatcher {
  entered(stage: Stage, at: number): void;
  finished(result: StageResult, value: unknown): void;
}

/** What those who watch a run are told: the `progress` query, the details in the UI, the search attributes. */
export class Story {
  readonly stages: StageResult[] = [];
  readonly progress: Progress;
  #notes: string[] = [];
  #watcher: StageWatcher | undefined;
  #entered = 0;
  #shortened = false;

  constructor(pipeline: string, trigger: string) {
    this.progress = { pipeline, asOf: null, stage: null, stages: this.stages };
    setHandler(progressQuery, () => this.progress);
    setHandler(progressSignal, (report) => {
      this.progress.training = report;
      this.#show();
    });
    this.attribute({ pipeline, model: pipeline, trigger });
  }

  /** From now on the watcher is told of every stage. */
  watch(watcher: StageWatcher): void {
    this.#watcher = watcher;
  }

  asOf(asOf: string): void {
    this.progress.asOf = asOf;
    this.#show();
  }

  attribute(values: Partial<Record<Attribute, string>>): void {
    upsertSearchAttributes(
      Object.entries(values).map(([name, value]) => ({
        key: defineSearchAttributeKey(SearchAttribute[name as Attribute], SearchAttributeType.KEYWORD),
        value,
      })),
    );
  }

  /** A stage begins, perhaps before it is known whether this run does the work. */
  enter(name: Stage): void {
    if (this.progress.stage === name) return;
    this.#entered = Date.now();
    this.progress.stage = name;
    this.attribute({ stage: name });
    this.#show();
  }

  /** Runs one stage and reports it, whatever becomes of it. */
  async stage<T>(name: Stage, work: (report: StageReport) => Promise<T>): Promise<T> {
    this.enter(name);
    const started = this.#entered;
    this.#watcher?.entered(name, started);
    const stage: StageResult = { name, cached: true, seconds: 0 };
    const details: Record<string, unknown> = {};
    const result = await work({
      done: (answer) => {
        stage.cached &&= answer.cached;
        return answer.output;
      },
      rows: (rows) => {
        stage.rows = rows;
      },
      detail: (key, value) => {
        details[key] = value;
      },
    });
    stage.seconds = (Date.now() - started) / 1000;
    if (Object.keys(details).length > 0) stage.details = this.#bounded(MOST_BYTES.stage, details);
    this.stages.push(stage);
    this.#show();
    this.#watcher?.finished(stage, result);
    return result;
  }

  /** What other services are told of the run's end. */
  result(result: RunResult): RunResult {
    const { gates, drift } = result;
    const drifted = this.#bounded(MOST_BYTES.drifted, drift.drifted);
    // What decided must not be what is cut off.
    const decisive = [...gates.filter(({ passed }) => !passed), ...gates.filter(({ passed }) => passed)];
    const bounded = this.#bounded(MOST_BYTES.gates, decisive);
    const told = { ...result, gates: bounded === decisive ? gates : bounded, drift: { ...drift, drifted } };
    return this.#shortened ? { ...told, shortened: true } : told;
  }

  #bounded<T>(bytes: number, value: T): T {
    const told = atMost(bytes, value);
    this.#shortened ||= told !== value;
    return told;
  }

  /** Something that operators should read, e.g. the reason of a failure or the address of the report. */
  note(text: string): void {
    this.#notes.push(text);
    this.#show();
  }

  /** A version waits for a person. */
  waitFor(version: number, until: string): void {
    this.progress.waiting = { version, since: new Date().toISOString(), until };
    this.attribute({ version: String(version), verdict: 'waiting' });
    this.#show();
  }

  /** The run is done; who reads its lineage does not answer. */
  lineageWaits(): void {
    this.progress.lineage = 'waiting';
    this.note('OpenLineage events wait for their receiver, which does not answer; they are sent again for a day.');
  }

  /** Who reads its lineage will not take some of it. */
  lineageRefused(events: number): void {
    this.progress.lineage = 'refused';
    this.note(`OpenLineage: the receiver refused ${events} event(s) of this run, which were given up.`);
  }

  goOn(): void {
    delete this.progress.waiting;
    this.#show();
  }

  /** The same run is under way under another id. */
  follow(workflowId: string): void {
    if (this.progress.follows === workflowId) return;
    this.progress.follows = workflowId;
    this.note(`The same run is under way as \`${workflowId}\`: this one waits for its result.`);
  }

  /** This run does the work itself, perhaps after the one that it followed ended without a result. */
  lead(): void {
    const { follows } = this.progress;
    if (follows === undefined) return;
    delete this.progress.follows;
    this.note(`\`${follows}\` ended without a result: this run does the work.`);
  }

  /** The result of another run is this one's, too. */
  async repeat(result: RunResult): Promise<void> {
    this.progress.asOf = result.asOf;
    this.stages.push(...result.stages);
    await this.end(result.verdict, result.model.version);
  }

  /** The last entry: the verdict. Waits for messages that are still being handled. */
  async end(verdict: Verdict, version: number): Promise<void> {
    this.progress.verdict = verdict;
    this.progress.stage = null;
    this.attribute({ verdict, version: String(version), stage: 'done' });
    this.#show();
    await condition(allHandlersFinished);
  }

  fail(reason: string, verdict: 'failed' | 'cancelled'): void {
    this.attribute({ verdict });
    const where = this.progress.stage ?? 'preparation';
    this.note(verdict === 'cancelled' ? `**Cancelled in ${where}.**` : `**Failed in ${where}:** ${reason}`);
  }

  #show(): void {
    const waiting = this.progress.waiting ? [waitingText(this.progress.waiting)] : [];
    setCurrentDetails([stageTable(this.progress), ...waiting, ...this.#notes].join('\n\n'));
  }
}

function waitingText({ version, until }: NonNullable<Progress['waiting']>): string {
  const example = '{"by": "your name", "reason": "why"}';
  return `**Version ${version} waits for a person** until ${until}: send the update \`approve\` or \`reject\` with \`${example}\`.`;
}
