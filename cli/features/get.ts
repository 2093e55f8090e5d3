import { Command } from 'commander';
import { servedSpec } from '../../core/compose/served-spec.ts';
import { inspectOnline } from '../../core/features/inspect-online.ts';
import { onlineNamespace } from '../../core/features/online-layout.ts';
import type { FeatureValues } from '../../core/spec/cli.ts';
import { RefitError } from '../../core/spec/errors.ts';
import { canonicalAsOf } from '../../core/spec/time.ts';
import { duration } from '../runs.ts';
import { bold, dim, table, yellow } from '../terminal.ts';
import { print, withStore } from '../with-stack.ts';

interface Options {
  pipeline: string;
  view?: string;
  key: Record<string, string>;
  at?: string;
  json?: boolean;
}

export function getCommand(exit: (status: number) => void): Command {
  return new Command('get')
    .description('Show the online features of an entity as they are served, with their age.')
    .requiredOption('--pipeline <name>', 'whose features')
    .option('--view <name>', 'one feature view; all of them unless named')
    .option('--key <column=value>', "key of the view, or of the pipeline's entity; may be repeated", collectKey, {})
    .option('--at <time>', 'as served at this time, UTC (default: what the online store was brought to)')
    .option('--json', 'print the values as JSON on standard output')
    .option('--debug', 'print stack traces')
    .addHelpText('after', EXAMPLES)
    .action(async (options: Options) => exit(await get(options)));
}

const EXAMPLES = `
Examples:
  refit features get --pipeline flight-delays --view weather_by_origin --key origin=JFK
  refit features get --pipeline flight-delays --view carrier_departures --key origin=JFK --key carrier=AA
  refit features get --pipeline flight-delays --key flight_id=AA-1-JFK-20131001 --json

A value that is older than the ttl of its view is served as missing; it is shown with its age.`;

async function get({ pipeline, view, key, at, json }: Options): Promise<number> {
  if (Object.keys(key).length === 0) throw new RefitError('REFIT_USAGE', 'No entity is named: add --key column=value.');
  const values = await withStore(async (refit): Promise<FeatureValues> => {
    const { spine, features: views } = await servedSpec(refit, pipeline);
    const namespace = onlineNamespace(pipeline, spine, views);
    const time = at === undefined ? undefined : canonicalAsOf(at);
    const served = await inspectOnline(refit.online(), { namespace, views, view, key, at: time });
    return { pipeline, view: view ?? null, key, ...served };
  });
  print(values, json, () => text(values));
  return 0;
}

function collectKey(text: string, before: Record<string, string>): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new RefitError('REFIT_USAGE', `--key ${text}: there is no "column=value" in it.`);
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

function text({ key, at, asOf, found, features }: FeatureValues): string {
  const entity = Object.entries(key).map(([column, value]) => `${column}=${value}`);
  const rows = features.map(({ name, view, value, stored, eventAt, ageSeconds, ttl, expired }) => [
    name,
    value === null ? dim(stored === null ? 'missing' : `missing (was ${stored})`) : String(value),
    eventAt?.slice(0, 19).replace('T', ' ') ?? '',
    ageSeconds === null ? '' : duration(ageSeconds),
    expired ? yellow(`${ttl}, expired`) : (ttl ?? ''),
    dim(view),
  ]);
  return [
    `${bold(entity.join(' '))} at ${at} ${dim(`(online features as of ${asOf})`)}${found ? '' : yellow('  unknown to the online store')}`,
    table(['feature', 'value', 'event (UTC)', 'age', 'ttl', 'view'], rows, [3]),
  ].join('\n');
}
