import { Command } from 'commander';
import { findStack } from './running-stack.ts';
import { say, yellow } from './terminal.ts';
import { type Desk, withStack } from './with-stack.ts';

/** A command below `refit schedules`. */
export const command = (name: string, description: string) =>
  new Command(name)
    .description(description)
    .option('--json', 'print the result as JSON on standard output')
    .option('--debug', 'print stack traces');

/** The stack, with a word where it ends with a command. Schedules are the server's: they can be applied before any worker runs. */
export function atDesk<T>(work: (desk: Desk) => Promise<T>, options = { workers: false }): Promise<T> {
  return withStack(async (desk) => {
    if (isTransient(desk)) say(yellow(TRANSIENT));
    return work(desk);
  }, options);
}

const TRANSIENT = `This server runs only as long as a command does: schedules are kept, but start nothing in between.
Use \`refit dev\`, or a server that stays (TEMPORAL_ADDRESS).`;

/** Whether the server ends with this command, or with a short one beside it. */
export function isTransient({ places, stack }: Desk): boolean {
  const running = findStack(places.state);
  return running?.address === stack.address && running.command !== 'refit dev';
}
