import { Command } from 'commander';
import { checkCommand } from './data/check.ts';
import { profileCommand } from './data/profile.ts';

export function dataCommand(exit: (status: number) => void): Command {
  const command = new Command('data').description(
    'The sources of a pipeline: hold them against their contracts, see their statistics.',
  );
  command.addCommand(checkCommand(exit));
  command.addCommand(profileCommand());
  return command.addHelpText('after', EXAMPLES);
}

const EXAMPLES = `
Examples:
  refit data check flight-delays
  refit data check flight-delays --source weather --json
  refit data profile flight-delays`;
