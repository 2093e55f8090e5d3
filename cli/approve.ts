import { Command } from 'commander';
import { asRefitError, type RefitClient, type Run } from '../client/index.ts';
import { summaryOf } from '../client/list.ts';
import { compose, type Places } from '../core/compose/refit.ts';
import { describeModel, findModelVersion } from '../core/registry/describe.ts';
import type { DecisionOutcome, VersionSummary } from '../core/spec/cli.ts';
import { RefitError } from '../core/spec/errors.ts';
import type { PersonsDecision, Progress, RunResult } from '../core/spec/run.ts';
import { said } from './grounds.ts';
import { bold, dim, green, say, yellow } from './terminal.ts';
import { type Desk, print, withStack } from './with-stack.ts';

interface Options extends PersonsDecision {
  wait?: boolean;
  json?: boolean;
}
type Action = DecisionOutcome['decision'];
interface Named {
  model: string;
  version: number;
}

/** How long the outcome is waited for without --wait. */
const PATIENCE_MS = 10_000;

export const approveCommand = (exit: (status: number) => void) => decisionCommand('approve', exit);
export const rejectCommand = (exit: (status: number) => void) => decisionCommand('reject', exit);

function decisionCommand(action: Action, exit: (status: number) => void): Command {
  const does = action === 'approve' ? 'Promote' : 'Turn down';
  return new Command(action)
    .description(`${does} a version that waits for a person.`)
    .argument('<model@version>')
    .requiredOption('--by <name>', 'who decides; goes into the audit log', said('--by'))
    .requiredOption('--reason <text>', 'why; goes into the audit log', said('--reason'))
    .option('--wait', 'return when the run has ended')
    .option('--json', 'print what became of it as JSON on standard output')
    .option('--debug', 'print stack traces')
    .addHelpText('after', examples(action))
    .action(async (name: string, options: Options) => exit(await decide(action, name, options)));
}

const examples = (action: Action) => `
Examples:
  refit runs --verdict waiting                      which runs wait
  refit ${action} flight-delays@3 --by ada --reason "${action === 'approve' ? 'slices look fine' : 'the carrier mix is odd'}"

Exit status: 0 the decision was taken, 1 nothing waits for it, 2 there is no such version, 3 approved, but a newer champion
serves by now.`;

async function decide(action: Action, name: string, { by, reason, wait, json }: Options): Promise<number> {
  const outcome = await withStack(async (desk): Promise<DecisionOutcome> => {
    const { named, state } = await lookUp(desk.places, name);
    const runs = await waitingRuns(desk, named);
    if (runs.length === 0) throw await notWaiting(desk, named, state);
    const run = await tell(runs, action, { by, reason });
    say(dim(`${run.workflowId}: ${action === 'approve' ? 'approved' : 'rejected'}, the run goes on`));
    const { status, verdict } = await becomes(run, wait === true);
    const { workflowId, runId } = run;
    return { ...named, decision: action, by, reason, workflowId, runId, status, verdict };
  });
  print(outcome, json, () => text(outcome));
  return action === 'approve' && outcome.verdict === 'rejected' ? 3 : 0;
}

async function lookUp(places: Places, name: string): Promise<{ named: Named; state: VersionSummary['state'] }> {
  const refit = compose(places);
  try {
    const named = await findModelVersion(refit.objects, name);
    const { versions } = await describeModel(refit.objects, { model: named.model, version: undefined });
    return { named, state: versions.find(({ version }) => version === named.version)?.state ?? 'undecided' };
  } finally {
    await refit.close();
  }
}

/** Runs that wait for a decision on that very version: the index finds candidates, the runs themselves say so. */
async function waitingRuns({ client }: Desk, { model, version }: Named): Promise<Run[]> {
  const found: Run[] = [];
  for await (const { workflowId, runId } of client.list({ model, status: 'running' })) {
    const run = await client.handle(workflowId, runId);
    const progress = await run.handle.query<Progress>('progress').catch(() => undefined);
    if (progress?.waiting?.version === version) found.push(run);
  }
  return found;
}

async function notWaiting(
  { client }: Desk,
  { model, version }: Named,
  state: VersionSummary['state'],
): Promise<RefitError> {
  const others = await waitingVersions(client, model);
  const because = {
    champion: 'it serves already',
    former: 'it was promoted before',
    rejected: 'it was rejected',
    undecided: 'no run waits for a decision on it',
    incomplete: 'its run has not registered it yet',
  }[state];
  const hint = others.length > 0 ? `; ${others.map((other) => `${model}@${other}`).join(', ')} waits` : '';
  return new RefitError('REFIT_NOT_WAITING', `${model}@${version} does not wait for a decision: ${because}${hint}.`, {
    ...{ model, version, state },
    waiting: others,
  });
}

async function waitingVersions(client: RefitClient, model: string): Promise<number[]> {
  const versions = new Set<number>();
  for await (const run of client.list({ model, verdict: 'waiting', status: 'running' })) versions.add(run.version ?? 0);
  return [...versions].filter((version) => version > 0).sort((a, b) => a - b);
}

/** Two runs may wait for one version: the first to take the decision speaks for it, the others are spared the wait. */
async function tell(runs: Run[], action: Action, decision: PersonsDecision): Promise<Run> {
  let taken: Run | undefined;
  let refused: RefitError | undefined;
  for (const run of runs) {
    try {
      await run[action](decision);
      taken ??= run;
    } catch (error) {
      refused ??= asRefitError(error);
    }
  }
  if (taken) return taken;
  throw refused ?? new RefitError('REFIT_NOT_WAITING', 'No run took the decision.');
}

/** The verdict as soon as there is one, or when the time is over; the run may go on after its verdict. */
async function becomes(run: Run, wait: boolean): Promise<Pick<DecisionOutcome, 'status' | 'verdict'>> {
  const end = new AbortController();
  const timer = wait ? undefined : setTimeout(() => end.abort(), PATIENCE_MS);
  try {
    const result: RunResult = await run.result({ signal: end.signal });
    return { status: 'completed', verdict: result.verdict };
  } catch (error) {
    if (!end.signal.aborted) throw error;
    const { status, verdict } = summaryOf(await run.handle.describe());
    return { status, verdict: verdict === 'waiting' ? null : (verdict ?? null) };
  } finally {
    clearTimeout(timer);
  }
}

function text({ model, version, decision, by, verdict, status, workflowId }: DecisionOutcome): string {
  const what = `${bold(`${model}@${version}`)} ${decision === 'approve' ? 'approved' : 'rejected'} by ${by}`;
  if (verdict === null) return `${what}; the run is ${status}: refit status ${workflowId}`;
  return `${what}: ${verdict === 'promoted' ? green(verdict) : yellow(verdict)}`;
}
