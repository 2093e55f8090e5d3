import { randomUUID } from 'node:crypto';
import { Command } from 'commander';
import { findModel, findModelVersion } from '../core/registry/describe.ts';
import { type ByHand, type Moved, rollBack, rollOut } from '../core/registry/operator-moves.ts';
import type { RoutingMove } from '../core/spec/cli.ts';
import { type Grounds, withGrounds } from './grounds.ts';
import { bold, dim, green } from './terminal.ts';
import { print, withStore } from './with-stack.ts';

interface Options extends Grounds {
  liftBar?: boolean;
}

export function rollbackCommand(exit: (status: number) => void): Command {
  return withGrounds(new Command('rollback'))
    .description('Take the champion away and bar it; the version that served before it serves again.')
    .argument('<model[@version]>', 'name the version to be sure which one goes: repeated, it changes nothing more')
    .addHelpText('after', ROLLBACK)
    .action(async (name: string, options: Options) => exit(await rollback(name, options)));
}

const ROLLBACK = `
Examples:
  refit rollback flight-delays --reason "complaints from Newark"
  refit rollback flight-delays@3 --by ada --reason "trained on the wrong month"
  refit rollout flight-delays@3 --lift-bar --reason "it was the feed, not the model"     to undo it

The gateways follow within a second. No run promotes a version that was rolled back again.

Exit status: 0 it no longer serves, 1 it did not serve, or nothing may serve in its place, 2 there is no such version.`;

async function rollback(name: string, options: Options): Promise<number> {
  return move(options, async (objects, grounds) => {
    const { model, version } = await findModel(objects, name);
    return rollBack(objects, { ...grounds, model, version });
  });
}

export function rolloutCommand(exit: (status: number) => void): Command {
  return withGrounds(new Command('rollout'))
    .description('Let a version serve, by your word: an earlier champion, or one that no rule promoted.')
    .argument('<model@version>')
    .option('--lift-bar', 'even if the version was rejected or rolled back')
    .addHelpText('after', ROLLOUT)
    .action(async (name: string, options: Options) => exit(await rollout(name, options)));
}

const ROLLOUT = `
Examples:
  refit rollout flight-delays@2 --reason "3 is slow"
  refit rollout flight-delays@3 --lift-bar --by ada --reason "the gate was too strict"

Exit status: 0 it serves, 1 it is barred, 2 there is no such version.`;

async function rollout(name: string, options: Options): Promise<number> {
  const { liftBar } = options;
  return move(options, async (objects, grounds) => {
    const { model, version } = await findModelVersion(objects, name);
    return rollOut(objects, { ...grounds, model, version, liftBar });
  });
}

type Objects = Parameters<typeof rollBack>[0];

async function move(
  { by, reason, json }: Options,
  work: (objects: Objects, grounds: Omit<ByHand, 'model'>) => Promise<Moved>,
): Promise<number> {
  const decisionId = `by-hand/${randomUUID()}`;
  const outcome = await withStore(async ({ objects }): Promise<RoutingMove> => {
    const { moved, entry } = await work(objects, { decisionId, by, reason });
    const { from, to } = entry.intent;
    const grounds = { by: entry.by, reason: entry.reason, entry: entry.sequence };
    return { model: entry.model, moved, from: from?.version ?? null, to: to?.version ?? entry.version, ...grounds };
  });
  print(outcome, json, () => text(outcome));
  return 0;
}

function text({ model, moved, from, to, by, reason, entry }: RoutingMove): string {
  const grounds = dim(`entry ${entry} of the audit log: ${by}, ${reason}`);
  if (!moved) return `Nothing changed: ${bold(`${model}@${to}`)} was put in place before. ${grounds}`;
  const before = from === null ? '' : `, in place of ${model}@${from}`;
  return `${green('✓')} ${bold(`${model}@${to}`)} serves${before}. ${grounds}`;
}
