import { Command } from 'commander';
import { checkCommand } from './features/check.ts';
import { getCommand } from './features/get.ts';
import { joinCommand } from './features/join.ts';
import { listCommand } from './features/list.ts';
import { materializeCommand } from './features/materialize.ts';

export function featuresCommand(exit: (status: number) => void): Command {
  const command = new Command('features').description(
    'The feature store: list views, join features to a table, look at them online.',
  );
  for (const make of [listCommand, joinCommand, getCommand, materializeCommand, checkCommand])
    command.addCommand(make(exit));
  return command.addHelpText('after', EXAMPLES);
}

const EXAMPLES = `
Examples:
  refit features list
  refit features join --pipeline flight-delays --spine asked.parquet --out features.parquet
  refit features get --pipeline flight-delays --view weather_by_origin --key origin=JFK
  refit features materialize --pipeline flight-delays
  refit features check --pipeline flight-delays`;
