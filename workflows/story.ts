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
import { SearchAttribute } from '../core/spec/queues.ts';
import type { Progress, Verdict } from '../core/spec/run.ts';
import type { Stage, StageResult } from '../core/spec/stages.ts';
import { stageTable } from './stage-table.ts';

export const progressQuery = defineQuery<Progress>('progress');
const progressSignal = defineSignal<[ProgressReport]>(PROGRESS_SIGNAL);

type Attribute = keyof typeof SearchAttribute;

/** Collects what the steps of one stage report. */
export interface StageReport {
  /** Passes a step's answer on, and remembers whether it was cached. */
  done<T>(answer: Done<T>): T;
  rows(rows: number): void;
  detail(name: string, value: unknown): void;
}

/** What those who watch a run are told: the `progress` query, the details in the UI, the search attributes. */
export class Story {
  readonly stages: StageResult[] = [];
  readonly progress: Progress;
  #notes: string[] = [];

  constructor(pipeline: string, trigger: string) {
    this.progress = { pipeline, asOf: null, stage: null, stages: this.stages };
    setHandler(progressQuery, () => this.progress);
    setHandler(progressSignal, (report) => {
      this.progress.training = report;
      this.#show();
    });
    this.attribute({ pipeline, model: pipeline, trigger });
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

  /** Runs one stage and reports it, whatever becomes of it. */
  async stage<T>(name: Stage, work: (report: StageReport) => Promise<T>): Promise<T> {
    const started = Date.now();
    const stage: StageResult = { name, cached: true, seconds: 0 };
    const details: Record<string, unknown> = {};
    this.progress.stage = name;
    this.attribute({ stage: name });
    this.#show();
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
    if (Object.keys(details).length > 0) stage.details = details;
    this.stages.push(stage);
    this.#show();
    return result;
  }

  /** Something that operators should read, e.g. the reason of a failure or the address of the report. */
  note(text: string): void {
    this.#notes.push(text);
    this.#show();
  }

  /** The last entry: the verdict. Waits for messages that are still being handled. */
  async end(verdict: Verdict, version: number): Promise<void> {
    this.progress.verdict = verdict;
    this.progress.stage = null;
    this.attribute({ verdict, version: String(version), stage: 'done' });
    this.#show();
    await condition(allHandlersFinished);
  }

  fail(reason: string): void {
    this.attribute({ verdict: 'failed' });
    this.note(`**Failed in ${this.progress.stage ?? 'preparation'}:** ${reason}`);
  }

  #show(): void {
    setCurrentDetails([stageTable(this.progress), ...this.#notes].join('\n\n'));
  }
}
