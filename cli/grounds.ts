import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { RefitError } from '../core/spec/errors.ts';

/** Reads an option that must say something: a name, a reason. @throws RefitError REFIT_USAGE where it is blank */
export const said =
  (option: string) =>
  (text: string): string => {
    if (text.trim() !== '') return text.trim();
    throw new RefitError('REFIT_USAGE', `${option} is empty: the audit log keeps who decided, and why.`);
  };

/** Options of a command that decides something by hand. */
export interface Grounds {
  by: string;
  reason: string;
  json?: boolean;
}

export function withGrounds(command: Command): Command {
  return command
    .requiredOption('--reason <text>', 'why; goes into the audit log', said('--reason'))
    .option('--by <name>', 'who decides; goes into the audit log', said('--by'), userInfo().username)
    .option('--json', 'print what became of it as JSON on standard output')
    .option('--debug', 'print stack traces');
}
