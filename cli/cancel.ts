import { Command } from 'commander';
import type { Run } from '../client/index.ts';
import { summaryOf } from '../client/list.ts';
import type { Cancellation, RunSummary } from '../core/spec/cli.ts';
import { RefitError } from '../core/spec/errors.ts';
import { findRun } from './find-run.ts';
import { dim, say } from './terminal.ts';
import { print, withStack } from './with-stack.ts';

interface Options {
  wait?: boolean;
  json?: boolean;
}

export function cancelCommand(exit: (status: number) => void): Command {
  return new Command('cancel')
    .description('Ask a run to stop: it ends between two units of work, and keeps the steps it finished.')
    .argument('<run>', "workflow id, run id, or a pipeline's name for the run that is under way")
    .option('--wait', 'return when the run has ended')
    .option('--json', 'print what happened as JSON on standard output')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (name: string, options: Options) => exit(await cancel(name, options)));
}

const EXAMPLES = `
Examples:
  refit cancel train/flight-delays/2013-12-01
  refit cancel flight-delays --wait

A run that has ended already is left as it is (exit status 0).`;

async function cancel(name: string, { wait, json }: Options): Promise<number> {
  const answer = await withStack(
    async ({ client }): Promise<Cancellation> => {
      const run = await findRun(client, name, { running: true });
      const { workflowId, runId } = run;
      const before = await stateOf(run);
      if (before !== 'running') return { workflowId, runId, requested: false, status: before };
      await run.cancel();
      if (wait) {
        say(dim(`${workflowId}: waiting for it to end`));
        await run.result().catch((error: unknown) => {
          // However it ended, it has; a server that is gone is another matter.
          if (error instanceof RefitError && error.code === 'REFIT_TEMPORAL_UNREACHABLE') throw error;
        });
      }
      return { workflowId, runId, requested: true, status: await stateOf(run) };
    },
    { workers: wait === true },
  );
  print(answer, json, () => text(answer));
  return 0;
}

async function stateOf({ handle }: Run): Promise<RunSummary['status']> {
  return summaryOf(await handle.describe()).status;
}

function text({ workflowId, requested, status }: Cancellation): string {
  if (!requested) return `${workflowId} had ended already: ${status}.`;
  return status === 'running' ? `${workflowId} was asked to stop.` : `${workflowId} has ended: ${status}.`;
}
