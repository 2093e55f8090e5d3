import { randomUUID } from 'node:crypto';
import { Command } from 'commander';
import { findModel } from '../core/registry/describe.ts';
import { pauseModel, resumeModel } from '../core/registry/operator-moves.ts';
import type { ModelPause } from '../core/spec/cli.ts';
import { RefitError } from '../core/spec/errors.ts';
import { type Grounds, withGrounds } from './grounds.ts';
import { bold, dim } from './terminal.ts';
import { print, withStore } from './with-stack.ts';

export function pauseCommand(exit: (status: number) => void): Command {
  return withGrounds(new Command('pause'))
    .description('Let no rule promote a version of a model: what passes its gates waits for a person.')
    .argument('<model>')
    .addHelpText('after', PAUSE)
    .action(async (name: string, grounds: Grounds) => exit(await mark(name, grounds, true)));
}

const PAUSE = `
Examples:
  refit pause flight-delays --reason "the feed is being repaired"
  refit runs --verdict waiting                      what passed meanwhile
  refit approve flight-delays@7 --by ada --reason "made before the repair"

Runs go on; who serves stays. A version that nobody decides on in time is rejected. To stop the runs: refit schedules pause.

Exit status: 0 it is paused, 2 there is no such model.`;

export function resumeCommand(exit: (status: number) => void): Command {
  return withGrounds(new Command('resume'))
    .description('Let rules promote versions of a paused model again.')
    .argument('<model>')
    .addHelpText('after', RESUME)
    .action(async (name: string, grounds: Grounds) => exit(await mark(name, grounds, false)));
}

const RESUME = `
Examples:
  refit resume flight-delays --reason "the feed is whole again"

A version that waits for a person goes on waiting.

Exit status: 0 it is resumed, 1 it was not paused, 2 there is no such model.`;

async function mark(name: string, { by, reason, json }: Grounds, pause: boolean): Promise<number> {
  const decisionId = `by-hand/${randomUUID()}`;
  const outcome = await withStore(async ({ objects }): Promise<ModelPause> => {
    const { model, version } = await findModel(objects, name);
    if (version !== undefined) {
      throw new RefitError('REFIT_USAGE', `A model is paused with all its versions: write ${model}.`, {
        model,
        version,
      });
    }
    const { moved, entry } = await (pause ? pauseModel : resumeModel)(objects, { model, decisionId, by, reason });
    return { model, paused: pause, changed: moved, by: entry.by, reason: entry.reason, entry: entry.sequence };
  });
  print(outcome, json, () => text(outcome));
  return 0;
}

function text({ model, paused, changed, by, reason, entry }: ModelPause): string {
  const before = changed ? '' : ' already';
  const state = paused
    ? `is paused${before}: what passes its gates waits for a person`
    : 'is promoted by its rules again';
  return `${bold(model)} ${state}. ${dim(`entry ${entry} of the audit log: ${by}, ${reason}`)}`;
}
