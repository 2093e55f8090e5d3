import { Command, CommanderError } from 'commander';
import { RefitError } from '../core/spec/errors.ts';
import { demoCommand } from './demo.ts';
import { doctorCommand } from './doctor.ts';
import { reportError } from './report-error.ts';
import { runCommand } from './run.ts';

/** Runs one command line. @returns the exit status: 0 done, 1 failed, 2 wrong usage, 3 rejected. */
export async function main(args: string[]): Promise<number> {
  const json = args.includes('--json');
  let status = 0;
  const settle = (code: number) => {
    status = code;
  };
  const program = new Command('refit')
    .description("A model's whole life as durable workflows: extract, features, train, evaluate, promote, drift-check.")
    .version('0.1.0')
    .exitOverride()
    .configureOutput({ writeErr: (text) => (json ? undefined : process.stderr.write(text)) })
    .showHelpAfterError('(add --help for examples)')
    .showSuggestionAfterError();
  for (const command of [demoCommand, runCommand, doctorCommand]) {
    program.addCommand(command(settle).exitOverride().copyInheritedSettings(program));
  }
  program.addHelpText('after', EXAMPLES);
  try {
    await program.parseAsync(args, { from: 'user' });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      if (json) reportError(new RefitError('REFIT_USAGE', sentence(error.message)), { json });
      return 2;
    }
    return reportError(error, { json, debug: args.includes('--debug') });
  }
}

const sentence = (message: string) =>
  `${message
    .replace(/^error: /, '')
    .replaceAll(/\s+/g, ' ')
    .replace(/\.?$/, '.')}`;

const EXAMPLES = `
Examples:
  refit demo                                        the whole life of a model on real flights, in a few minutes
  refit run flight-delays --as-of 2014-01-01        one run as of a date
  refit run flight-delays --set model.rounds=400    the same with another setting; finished steps are reused
  refit doctor                                      what is here, what is missing, how to get it

Exit status: 0 done (promoted, unchanged), 1 failed, 2 wrong usage, 3 rejected by a gate.`;
