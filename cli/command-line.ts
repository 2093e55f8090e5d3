import { Command, CommanderError } from 'commander';
import { RefitError } from '../core/spec/errors.ts';

export type CommandMaker = (exit: (status: number) => void) => Command;
type Report = (error: unknown, options: { json: boolean; debug: boolean }) => number;

/** Runs one command line against commands under their headings. @returns the exit status; `report` gives that of an error. */
export async function runCommandLine(
  args: string[],
  commands: Record<string, CommandMaker[]>,
  { examples, report }: { examples: string; report: Report },
): Promise<number> {
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
  for (const [heading, makers] of Object.entries(commands)) {
    for (const make of makers) program.addCommand(inherit(make(settle), program).helpGroup(heading));
  }
  program.addHelpText('after', examples);
  try {
    await program.parseAsync(args, { from: 'user' });
    return status;
  } catch (error) {
    const debug = args.includes('--debug');
    if (!(error instanceof CommanderError)) return report(error, { json, debug });
    if (error.exitCode === 0) return 0;
    if (json) report(new RefitError('REFIT_USAGE', sentence(error.message)), { json, debug });
    return 2;
  }
}

/** Settings of the program for a command and those below it: commander hands on only to commands that it makes itself. */
function inherit(command: Command, program: Command): Command {
  for (const below of command.commands) inherit(below, program);
  return command.exitOverride().copyInheritedSettings(program);
}

const sentence = (message: string) =>
  `${message
    .replace(/^error: /, '')
    .replaceAll(/\s+/g, ' ')
    .replace(/\.?$/, '.')}`;
