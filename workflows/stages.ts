import type { Judgement } from '../activities/evaluate.ts';
import type { Decision } from '../activities/promote.ts';
import type { ResolvedRun, SourceFile } from '../core/spec/activities.ts';
import type {
  BlobRef,
  FittedModel,
  Partition,
  Snapshot,
  TrainedModel,
  TrainingSet,
  Trial,
} from '../core/spec/artifacts.ts';
import type { DriftReport } from '../core/spec/evaluation.ts';
import { bestTrial, proposeTrials } from '../core/spec/search.ts';
import { dataOf } from '../core/spec/snapshot-data.ts';
import { announceRejection, announceWaiting } from './announcements.ts';
import type { Approval } from './approval.ts';
import { inParallel } from './in-parallel.ts';
import { cpu, trainers } from './proxies.ts';
import type { StageReport, Story } from './story.ts';

/** What every activity of a run is given. */
export interface Base {
  run: ResolvedRun;
  spec: BlobRef;
  /** A token: compute anew even where a result is cached. */
  force?: string;
}
export interface Data {
  asOf: string;
  snapshots: Record<string, Snapshot>;
}
export interface Inspected {
  files: { source: string; files: SourceFile[] }[];
  asOf: string;
}
export type Context = Base & Data;
export interface Candidate {
  model: TrainedModel;
  baseline: FittedModel;
  trials: Trial[];
}

const PARTITIONS_AT_ONCE = 4;

/** Looks at every file of every source: which run this is, is known when it is known how far the data goes. */
export async function inspect({ run, ...base }: Base): Promise<Inspected> {
  const files = await inParallel(run.sources, PARTITIONS_AT_ONCE, async (source) => ({
    source,
    files: await cpu.inspectSource.executeWithOptions({ summary: `${source}: look at files` }, [{ ...base, source }]),
  }));
  const spine = files.flatMap((of) => (of.source === run.spineSource ? of.files : []));
  return { files, asOf: run.asOf ?? endOfData(spine, run.notAfter) };
}

/** The newest event, no later than the time the run was scheduled for. */
function endOfData(files: SourceFile[], notAfter: string | undefined): string {
  const newest = files.flatMap(({ newestEvent }) => (newestEvent === null ? [] : [newestEvent])).sort();
  const end = newest.at(-1) ?? '1970-01-01T00:00:00Z';
  return notAfter !== undefined && Date.parse(notAfter) < Date.parse(end) ? notAfter : end;
}

/** Extracts the files that were known by asOf, and judges each source as a whole. */
export async function extract(
  { run, ...base }: Base,
  { files, asOf }: Inspected,
  story: Story,
  report: StageReport,
): Promise<Data> {
  const due = files.flatMap(({ source, files: of }) =>
    of
      .filter(({ knownFrom }) => knownFrom === null || Date.parse(knownFrom) <= Date.parse(asOf))
      .map((file) => ({ source, file })),
  );
  const partitions = { done: 0, total: due.length };
  story.progress.partitions = partitions;
  let fresh = 0;
  const extracted = await inParallel(due, PARTITIONS_AT_ONCE, async ({ source, file }) => {
    const answer = await cpu.extractPartition.executeWithOptions({ summary: file.name }, [{ ...base, source, file }]);
    partitions.done += 1;
    // A table is extracted when it is looked at.
    const cached = answer.cached && !file.extracted;
    if (!cached) fresh += 1;
    return { source, partition: report.done({ ...answer, cached }) };
  });
  const snapshots = await inParallel(run.sources, PARTITIONS_AT_ONCE, async (source) => {
    const own = extracted.filter((one) => one.source === source).map(({ partition }) => partition);
    const options = { summary: `${source}: ${own.length} partitions as of ${asOf}` };
    const seen = run.seenAt === undefined ? {} : { seenAt: run.seenAt };
    const others = referred(run.references?.[source], extracted);
    const input = { ...base, source, asOf, partitions: own, ...seen, ...others };
    return report.done(await cpu.publishSnapshot.executeWithOptions(options, [input]));
  });
  report.rows(snapshots.find(({ source }) => source === run.spineSource)?.rows ?? 0);
  report.detail('rows', Object.fromEntries(snapshots.map(({ source, rows }) => [source, rows])));
  report.detail(
    'quarantined',
    snapshots.reduce((sum, { quarantined }) => sum + quarantined, 0),
  );
  report.detail('partitions', { total: due.length, extracted: fresh });
  reportFindings(snapshots, report);
  return { asOf, snapshots: Object.fromEntries(snapshots.map((snapshot) => [snapshot.source, dataOf(snapshot)])) };
}

type Extracted = { source: string; partition: Partition }[];

/** Partitions of the sources that a contract refers to. */
function referred(sources: string[] | undefined, extracted: Extracted): { references?: Record<string, Partition[]> } {
  if (sources === undefined) return {};
  const of = (name: string) => extracted.filter(({ source }) => source === name).map(({ partition }) => partition);
  return { references: Object.fromEntries(sources.map((name) => [name, of(name)])) };
}

/** What was found out about the sources, for whoever reads the run's result; by source, and only where there is something. */
function reportFindings(snapshots: Snapshot[], report: StageReport): void {
  const tell = (name: string, of: (snapshot: Snapshot) => unknown[] | undefined) => {
    const told = snapshots.flatMap((snapshot) => {
      const items = of(snapshot);
      return items && items.length > 0 ? [[snapshot.source, items] as const] : [];
    });
    if (told.length > 0) report.detail(name, Object.fromEntries(told));
  };
  tell('broken', ({ rules }) => rules.map(({ rule, count }) => ({ rule, count })));
  tell('warnings', ({ warnings }) => warnings);
  tell('schema', ({ changes }) => changes);
  tell('notable', ({ notable }) => notable);
}

export async function features({ run: _, ...context }: Context, report: StageReport): Promise<TrainingSet> {
  const set = report.done(
    await cpu.buildTrainingSet.executeWithOptions({ summary: `Training set as of ${context.asOf}` }, [context]),
  );
  report.rows(set.rows.train + set.rows.validate + set.rows.test);
  report.detail('rows', set.rows);
  report.detail('features', set.features.length);
  if (set.prepared) report.detail('columns', set.prepared.features.length);
  report.detail('unlabelled', set.excluded.unlabelled);
  return set;
}

/** Baseline and search side by side, then the final fit with the best parameters. */
export async function train(
  context: Context,
  trainingSet: TrainingSet,
  story: Story,
  report: StageReport,
): Promise<Candidate> {
  const { run, spec, force } = context;
  const base = { spec, trainingSet, ...(force ? { force } : {}) };
  const pool = trainers(run.resources);
  const baseline = cpu.fitBaseline.executeWithOptions({ summary: 'Baseline: logistic regression' }, [base]);
  const search = searchParameters(context, base, story, report);
  const [fitted, trials] = await Promise.all([baseline, search]);
  const params = bestTrial(trials)?.params ?? {};
  const answer = await pool.fitModel.executeWithOptions({ summary: `Final fit ${parameters(params)}` }, [
    { ...base, params },
  ]);
  const model = report.done(answer);
  // A cached fit sends no progress of its own.
  story.progress.training = { round: model.roundsTrained, rounds: model.roundsTrained };
  report.rows(trainingSet.rows.train);
  report.detail('rounds', model.rounds);
  report.detail('trials', trials.length);
  return { model, baseline: report.done(fitted), trials };
}

const parameters = (params: Record<string, unknown>): string =>
  Object.keys(params).length === 0 ? 'with the declared parameters' : JSON.stringify(params);

async function searchParameters(
  { run }: Context,
  base: { spec: BlobRef; trainingSet: TrainingSet; force?: string },
  story: Story,
  report: StageReport,
): Promise<Trial[]> {
  const finished: Trial[] = [];
  const { trials: total, batch } = run.search;
  while (finished.length < total) {
    story.progress.trials = { done: finished.length, total };
    const proposals = proposeTrials(
      run.search,
      run.seed,
      finished,
      Math.min(batch, total - finished.length),
      run.params,
    );
    const answers = await Promise.all(
      proposals.map((trial) =>
        trainers(run.resources).runTrial.executeWithOptions(
          { summary: `Trial ${trial.index} ${parameters(trial.params)}` },
          [{ ...base, trial }],
        ),
      ),
    );
    finished.push(...answers.map((answer) => report.done(answer)));
  }
  if (total > 0) story.progress.trials = { done: finished.length, total };
  return finished;
}

/** Metrics, slices, parity, champion against challenger, gates, and the page that shows them. */
export async function evaluate(
  { run: _, ...context }: Context,
  trainingSet: TrainingSet,
  candidate: Candidate,
  report: StageReport,
): Promise<Judgement> {
  const subject = { ...context, trainingSet, ...candidate };
  const evaluation = report.done(
    await cpu.evaluateCandidate.executeWithOptions({ summary: 'Metrics, slices, parity' }, [subject]),
  );
  const judged = report.done(
    await cpu.judgeCandidate.executeWithOptions({ summary: 'Champion against challenger, gates, report' }, [
      { ...subject, evaluation },
    ]),
  );
  report.rows(trainingSet.rows.test);
  report.detail('auc', judged.metrics.test.auc);
  report.detail('logLoss', judged.metrics.test.logLoss);
  report.detail('gates', `${judged.gates.filter(({ passed }) => passed).length} of ${judged.gates.length} passed`);
  return judged;
}

/** Registers the version, brings the online features to asOf, and decides. */
export async function promote(
  { run, ...context }: Context,
  trainingSet: TrainingSet,
  candidate: Candidate,
  judged: Judgement,
  { approval, report }: { approval: Approval; report: StageReport },
): Promise<Decision> {
  const registered = await cpu.registerVersion.executeWithOptions({ summary: 'Register version' }, [
    { ...context, trainingSet, candidate, judged },
  ]);
  const { version } = report.done(registered);
  const online = report.done(
    await cpu.materializeOnline.executeWithOptions({ summary: `Online features as of ${context.asOf}` }, [context]),
  );
  // Routing moves last: a new champion finds its online features there.
  const subject = { ...context, trainingSet, ...candidate, evaluation: judged.evaluation };
  const decision = await decide({ ...context, version, judged }, subject, run, approval);
  if (decision.verdict === 'rejected') await announceRejection(run, context.asOf, decision);
  report.rows(online.entities);
  report.detail('verdict', decision.verdict);
  report.detail('version', version);
  return decision;
}

type OfDecision = Parameters<typeof cpu.decide>[0];
type OfJudgement = Parameters<typeof cpu.judgeCandidate>[0];

/** Decides when everything is there for it: gates held against the champion that serves, and a person's word where asked for. */
async function decide(of: OfDecision, subject: OfJudgement, run: ResolvedRun, approval: Approval): Promise<Decision> {
  for (;;) {
    const summary = `Decide on version ${of.version}`;
    const decision = await cpu.decide.executeWithOptions({ summary }, [of]);
    if (!('due' in decision)) return decision;
    if (decision.due === 'comparison') {
      const again = { summary: 'The champion moved: compare again' };
      of = { ...of, judged: (await cpu.judgeCandidate.executeWithOptions(again, [subject])).output };
    } else {
      const { until, onTimeout } = decision;
      await announceWaiting(run, of.asOf, of.version, until);
      of = { ...of, approved: await approval.wait({ version: of.version, until, onTimeout }) };
    }
  }
}

/** The newest window against the reference profile of the model that now serves. */
export async function checkDrift(
  { run: _, ...context }: Context,
  trainingSet: TrainingSet,
  decision: Decision,
  report: StageReport,
): Promise<DriftReport> {
  const subject = { ...context, trainingSet, model: decision.model.name, version: decision.serving };
  const drift = report.done(
    await cpu.checkDrift.executeWithOptions({ summary: `Drift against version ${decision.serving}` }, [subject]),
  );
  report.rows(drift.rows);
  report.detail('drifted', drift.drifted.length > 0 ? drift.drifted.join(', ') : 'none');
  report.detail('share', drift.share);
  return drift;
}
